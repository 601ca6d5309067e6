"""What an environment has in Google Cloud, thing by thing: how to look for it, make it, mend it and undo it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pipeline import endpoint, storage
from pipeline.answering import Say
from pipeline.cloudstorage import ROLES, CloudBucket
from pipeline.commands import Asking, Call, Command, Probe, Steps, Unchanged
from pipeline.config import require_project
from pipeline.errors import PipelineError
from pipeline.resources import Change, Resource
from pipeline.settings import Settings
from pipeline.tools import gcloud, labels, login

ABSENT = (
    r"code=404|NOT_FOUND|[Nn]ot found|was not found|does not exist|Unknown service account"
    r"|SERVICE_DISABLED|has not been used in project .* before or it is disabled"
)
"""In stderr: there is no such thing. Where an API is off there is nothing of it either."""

CREATION = 2400.0
"""Seconds for a cluster: it takes 4 to 8 minutes, Autopilot up to 15; with a GPU pool out of stock, longer."""


def apis(settings: Settings) -> tuple[str, ...]:
    """The APIs that this environment needs."""
    names = ["artifactregistry", "cloudresourcemanager", "compute", "container", "iam", "storage"]
    names += ["cloudbuild"] if settings.build_images.tool != "docker" else []
    names += ["iap", "servicemanagement"] if settings.iap.enabled else []
    return tuple(f"{name}.googleapis.com" for name in sorted(names))


def ask(settings: Settings, *words: str, doing: str, **how: Any) -> Command:
    """A gcloud question whose answer is JSON, None where there is no such thing."""
    how = {"parse": "json", "absent": ABSENT, "timeout": 120, **how}
    return gcloud(settings, *words, "--format=json", doing=doing, kind="ask", **how)


def change(settings: Settings, *words: str, doing: str, **how: Any) -> Command:
    """A gcloud command that changes something; what is so already is a success."""
    return gcloud(settings, *words, doing=doing, **{"timeout": 600, "retry": True, "done": EXISTS, **how})


EXISTS = r"code=409, message=Already exists|ALREADY_EXISTS|already exists"
"""In stderr: it is so already. "Is the subject of a conflict" alone may also mean that somebody else was quicker."""

GONE = r"code=404|NOT_FOUND|[Nn]ot found|was not found|does not exist"


def undo(settings: Settings, *words: str, doing: str, **how: Any) -> Command:
    """A gcloud command that deletes something; what is gone already is a success."""
    return gcloud(settings, *words, doing=doing, **{"timeout": 1800, "retry": True, "done": GONE, **how})


def project(settings: Settings) -> Command:
    """Asks for the project; its number names it in Workload Identity."""
    return gcloud(
        settings, "projects", "describe", settings.gcp.project, "--format=json",
        doing=f"look for the project {settings.gcp.project}", kind="ask", parse="json", timeout=120,
        unasked={"projectNumber": "<project number>", "lifecycleState": "ACTIVE"},
    )  # fmt: skip


def enabled(settings: Settings) -> Command:
    """Asks which APIs are on."""
    return gcloud(
        settings, "services", "list", "--enabled", "--format=value(config.name)", doing="look which APIs are on",
        kind="ask", parse="text", unasked="", timeout=120,
    )  # fmt: skip


def enable(settings: Settings, names: tuple[str, ...]) -> Command:
    return change(settings, "services", "enable", *names, doing=f"turn on {', '.join(names)}")


def registry(settings: Settings) -> Resource:
    """Artifact Registry's repository: everything built for the environment."""
    at, what = f"--location={settings.gcp.region}", f"the image registry {settings.registry}"
    marks = ",".join(f"{key}={value}" for key, value in labels(settings).items())
    return Resource(
        what,
        ask(settings, "artifacts", "repositories", "describe", settings.name, at, doing=f"look for {what}"),
        (
            change(
                settings, "artifacts", "repositories", "create", settings.name, "--repository-format=docker", at,
                f"--labels={marks}", doing=f"create {what}", makes="registry",
            ),
        ),
        (undo(settings, "artifacts", "repositories", "delete", settings.name, at, doing=f"delete {what}"),),
        lambda found: found.get("labels"),
    )  # fmt: skip


def told(settings: Settings) -> str:
    """Our labels as the text of a description, for what can bear no labels."""
    return " ".join(f"{key}={value}" for key, value in labels(settings).items())


def read(text: str | None) -> dict[str, str]:
    """The labels in a description."""
    return dict(re.findall(r"([a-z-]+)=([a-z0-9-]+)", text or ""))


def email(settings: Settings, kind: str) -> str:
    """A service account of the environment: `nodes`, or `user` as the tutorial called the workloads' one."""
    return f"{settings.name}-{kind}@{settings.gcp.project}.iam.gserviceaccount.com"


def account(settings: Settings, kind: str) -> Resource:
    address, what = email(settings, kind), f"the service account {email(settings, kind)}"
    return Resource(
        what,
        ask(settings, "iam", "service-accounts", "describe", address, doing=f"look for {what}"),
        (
            change(
                settings, "iam", "service-accounts", "create", f"{settings.name}-{kind}",
                f"--display-name={settings.name} {kind}", f"--description={told(settings)}", doing=f"create {what}",
                makes=f"account {kind}",
            ),
        ),
        (undo(settings, "iam", "service-accounts", "delete", address, doing=f"delete {what}"),),
        lambda found: read(found.get("description")),
    )  # fmt: skip


NODE_ROLE = "roles/container.defaultNodeServiceAccount"
"""What a node needs: to write logs and metrics. Pulling images is allowed on our registry alone."""


def binding(settings: Settings, words: tuple[str, ...], where: str, role: str, *more: str, needs: str = "") -> Resource:
    """A role of the nodes' account on a thing that `words` name; made and undone by itself."""
    member = f"serviceAccount:{email(settings, 'nodes')}"
    *group, name = words
    what = f"{role} of {email(settings, 'nodes')} on {where}"
    place = [f"--location={settings.gcp.region}"] if "repositories" in group else []
    said = (name, *place, f"--member={member}", f"--role={role}", *more)
    return Resource(
        what,
        ask(
            settings, *group, "get-iam-policy", name, *place, "--flatten=bindings[].members",
            f"--filter=bindings.members={member} AND bindings.role={role}", doing=f"look for {what}", unasked=None,
            needs=(needs,) if needs else (),
        ),
        (change(settings, *group, "add-iam-policy-binding", *said, "--format=none", doing=f"give {what}"),),
        (undo(settings, *group, "remove-iam-policy-binding", *said, "--format=none", doing=f"take {what}"),),
    )  # fmt: skip


def node_bindings(settings: Settings) -> tuple[Resource, ...]:
    project, repository = ("projects", settings.gcp.project), ("artifacts", "repositories", settings.name)
    return (
        binding(settings, project, f"project {settings.gcp.project}", NODE_ROLE, "--condition=None"),
        binding(settings, repository, settings.registry, "roles/artifactregistry.reader", needs="registry"),
    )


def bucket(settings: Settings) -> Resource:
    """The bucket, by google-cloud-storage: one request makes it with its labels, which gcloud needs two for."""
    what = f"the bucket {settings.bucket}"
    return Resource(
        what,
        Probe(f"look for {what}", partial(found_in, settings)),
        (Call(f"create {what} in {settings.gcp.region}", partial(make_bucket, settings), makes="bucket"),),
        (Call(f"delete {what} with all versions and checkpoints", partial(delete_bucket, settings)),),
        lambda found: found["labels"],
    )


def cloud_bucket(settings: Settings) -> CloudBucket:
    """The environment's bucket where it is in Cloud Storage; PipelineError where it is a folder."""
    found = storage.of(settings)
    if not isinstance(found, CloudBucket):
        raise PipelineError(f"storage.kind: {settings.storage.kind} cannot be reached from a cluster; write gcs")
    return found


def found_in(settings: Settings) -> dict[str, Any] | None:
    there = cloud_bucket(settings).found()
    return None if there is None else {"labels": there}


def make_bucket(settings: Settings, show: Say) -> None:
    cloud_bucket(settings).create()


def delete_bucket(settings: Settings, show: Say) -> None:
    for line in cloud_bucket(settings).delete():
        show(line)


def members(settings: Settings, number: str) -> dict[str, set[str]]:
    """Role on the bucket → members: the two Kubernetes service accounts, or the account whose key the pods carry."""
    if settings.identity == "key-secret":
        return {role: {f"serviceAccount:{email(settings, 'user')}"} for role in ROLES["trainer"]}
    pool = f"principal://iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools"
    subject = f"{pool}/{settings.gcp.project}.svc.id.goog/subject/ns/{settings.cluster.namespace}/sa"
    wanted: dict[str, set[str]] = {}
    for kind, roles in ROLES.items():
        for role in roles:
            wanted.setdefault(role, set()).add(f"{subject}/{kind}")
    return wanted


def access(settings: Settings, number: str) -> Resource:
    """What the workloads may do with the bucket."""
    wanted = members(settings, number)
    what = f"the workloads' access to {settings.bucket}"
    return Resource(
        what,
        Probe(f"look for {what}", partial(granted, settings, wanted), needs=("bucket",)),
        (Call(f"give {what}", partial(grant, settings, wanted)),),
        (Call(f"take {what}", partial(take, settings, wanted)),),
    )


def granted(settings: Settings, wanted: Mapping[str, set[str]]) -> bool:
    """Whether the bucket's policy holds all that is wanted."""
    if cloud_bucket(settings).found() is None:
        return False
    there = cloud_bucket(settings).granted()
    return all(people <= there.get(role, set()) for role, people in wanted.items())


def grant(settings: Settings, wanted: Mapping[str, set[str]], show: Say) -> None:
    cloud_bucket(settings).grant(wanted)


def take(settings: Settings, wanted: Mapping[str, set[str]], show: Say) -> None:
    cloud_bucket(settings).grant(wanted, take=True)


def where(settings: Settings) -> str:
    return f"--location={settings.location}"


def look_for_cluster(settings: Settings, waiting: bool = False) -> Command:
    """Asks for the cluster that is to be there by now; `waiting` for it is nothing that `plan` does."""
    asking = ask(
        settings, "container", "clusters", "describe", settings.name, where(settings),
        doing=f"look for the cluster {settings.name}", needs=("cluster",), unasked={"status": "RUNNING"},
    )  # fmt: skip
    return replace(asking, kind="wait", quiet=True) if waiting else asking


def cluster(settings: Settings) -> Resource:
    """The GKE cluster: standard with an autoscaled pool, or Autopilot."""
    what = f"the cluster {settings.name} in {settings.location}"
    name = ("container", "clusters")
    return Resource(
        what,
        ask(settings, *name, "describe", settings.name, where(settings), doing=f"look for {what}"),
        (
            change(
                settings, *name, *cluster_words(settings), where(settings), "--release-channel=regular",
                f"--service-account={email(settings, 'nodes')}", f"--labels={cluster_labels(settings)}",
                doing=f"create {what}: 4 to 15 minutes", makes="cluster", timeout=CREATION,
            ),
        ),
        (
            undo(settings, *name, "delete", settings.name, where(settings), doing=f"delete {what}: 5 minutes",
                 makes="no cluster", timeout=CREATION),
        ),
        lambda found: found.get("resourceLabels"),
        partial(mend_cluster, settings),
    )  # fmt: skip


def cluster_labels(settings: Settings) -> str:
    """GKE hands a cluster's labels on to its nodes and disks: what a deleted cluster leaves is still known as ours."""
    return ",".join(f"{key}={value}" for key, value in labels(settings).items())


def cluster_words(settings: Settings) -> tuple[str, ...]:
    if settings.cluster.autopilot:
        return ("create-auto", settings.name)
    return (
        "create", settings.name, f"--num-nodes={settings.cluster.nodes}",
        f"--machine-type={settings.cluster.machine_type}", "--enable-autoscaling", "--min-nodes=0",
        f"--max-nodes={settings.cluster.max_nodes}", f"--disk-size={settings.cluster.disk_gb}",
        f"--workload-pool={settings.gcp.project}.svc.id.goog", *(["--spot"] if settings.cluster.spot else []),
    )  # fmt: skip


def mend_cluster(settings: Settings, found: Mapping[str, Any]) -> tuple[Change, ...]:
    """Brings the autoscaler's limit up to date; PipelineError for what GKE cannot change in a cluster."""
    autopilot = bool(found.get("autopilot", {}).get("enabled"))
    command = f"`invoke --env={settings.environment} clean --keep-models`"
    instead = f"GKE cannot change that; set it back, or take the cluster down first ({command})"
    if autopilot != settings.cluster.autopilot:
        is_one = "is an Autopilot cluster" if autopilot else "is no Autopilot cluster"
        raise PipelineError(
            f"the cluster {settings.name} {is_one}, and cluster.autopilot is {settings.cluster.autopilot}: {instead}"
        )
    pool = next((one for one in found.get("nodePools", []) if one.get("name") == "default-pool"), None)
    if autopilot or pool is None:
        return ()
    has = pool.get("config", {}).get("machineType")
    if has and has != settings.cluster.machine_type:
        raise PipelineError(
            f"the cluster {settings.name} has {has} nodes, and cluster.machine_type is "
            f"{settings.cluster.machine_type}: {instead}"
        )
    if pool.get("autoscaling", {}).get("maxNodeCount") == settings.cluster.max_nodes:
        return ()
    return (
        change(
            settings, "container", "clusters", "update", settings.name, where(settings), "--enable-autoscaling",
            "--min-nodes=0", f"--max-nodes={settings.cluster.max_nodes}", "--node-pool=default-pool",
            doing=f"let the cluster {settings.name} grow to {settings.cluster.max_nodes} nodes",
        ),
    )  # fmt: skip


def gpu_pool(settings: Settings) -> Resource:
    """Nodes with GPUs, none of them while nothing asks for one; they go with their cluster."""
    what, count = f"the node pool gpu of {settings.name}", settings.training.gpus
    place = (f"--cluster={settings.name}", where(settings))
    return Resource(
        what,
        ask(settings, "container", "node-pools", "describe", "gpu", *place, doing=f"look for {what}",
            needs=("cluster",), unasked=None),
        (
            change(
                settings, "container", "node-pools", "create", "gpu", *place,
                f"--machine-type={settings.cluster.gpu_machine_type}",
                f"--accelerator=type={settings.cluster.gpu_type},count={count},gpu-driver-version=default",
                "--num-nodes=0", "--enable-autoscaling", "--min-nodes=0", "--max-nodes=1",
                f"--disk-size={settings.cluster.disk_gb}", f"--service-account={email(settings, 'nodes')}",
                *(["--spot"] if settings.cluster.spot else []), doing=f"create {what}", timeout=CREATION,
            ),
        ),
    )  # fmt: skip


def address(settings: Settings, name: str, place: str) -> Resource:
    """A reserved IP address; by it a load balancer that a deleted cluster left behind is known as ours."""
    what = f"the address {name}"
    words = ("compute", "addresses")
    return Resource(
        what,
        ask(settings, *words, "describe", name, place, doing=f"look for {what}", needs=(what,)),
        (
            change(settings, *words, "create", name, place, f"--description={told(settings)}",
                   doing=f"reserve {what}", makes=what),
        ),
        (undo(settings, *words, "delete", name, place, doing=f"give up {what}"),),
        lambda found: read(found.get("description")),
    )  # fmt: skip


def page_address(settings: Settings) -> Resource:
    """The address of the page's own load balancer."""
    return address(settings, endpoint.page_address_name(settings), f"--region={settings.gcp.region}")


def iap_address(settings: Settings) -> Resource:
    """The address of the page behind Identity-Aware Proxy."""
    return address(settings, endpoint.address_name(settings), "--global")


def addresses(settings: Settings) -> tuple[Resource, ...]:
    wanted: list[Callable[[Settings], Resource]] = []
    if settings.web_ui.service_type == "LoadBalancer":
        wanted.append(page_address)
    if settings.iap.enabled:
        wanted.append(iap_address)
    return tuple(one(settings) for one in wanted)


def reserved(settings: Settings, whole: Resource) -> Asking:
    """The IP address that was reserved as this one; PipelineError where none was."""
    found = yield replace(whole.look, unasked={"address": "<address>"})
    if found is None:
        raise PipelineError(f"{whole.what} is not there: `invoke --env={settings.environment} deploy` reserves it")
    return found["address"]


def public_name(settings: Settings, place: str = "") -> Resource:
    """The page's DNS name, which leads to `place`; the title of its description says whose it is."""
    name = endpoint.host(settings)
    what = f"the DNS name {name}"
    deploy = change(
        settings, "endpoints", "services", "deploy", str(settings.build / "endpoint.json"), "--force",
        doing=f"lead {what} to {place}",
    )  # fmt: skip
    return Resource(
        what,
        ask(settings, "endpoints", "configs", "list", f"--service={name}", doing=f"look for {what}"),
        (deploy,),
        (undo(settings, "endpoints", "services", "delete", name, doing=f"give up {what}"),),
        lambda found: read(found[0].get("title")),
        lambda found: () if place in str(found[0].get("endpoints", "")) else (deploy,),
    )


def endpoint_file(settings: Settings, place: str) -> str:
    """What `public_name` deploys."""
    return json.dumps(endpoint.description(settings, told(settings), place), indent=1)


DOOR = "roles/iap.httpsResourceAccessor"
"""Whoever has it on a backend service is let through to the page."""


def guests(settings: Settings, service: str) -> Steps:
    """Let through to a backend service those whom `iap.members` names, and nobody else."""
    place = ("--resource-type=backend-services", f"--service={service}")
    policy = yield ask(
        settings, "iap", "web", "get-iam-policy", *place, doing="look who may enter", unasked={}, needs=("iap",)
    )
    bindings = [one for one in (policy or {}).get("bindings", []) if one["role"] == DOOR and "condition" not in one]
    there = {member for one in bindings for member in one["members"]}
    wanted = set(settings.iap.members)
    for member in sorted(wanted - there):
        yield change(
            settings, "iap", "web", "add-iam-policy-binding", *place, f"--member={member}", f"--role={DOOR}",
            "--format=none", doing=f"let {member} enter",
        )  # fmt: skip
    for member in sorted(there - wanted):
        yield undo(
            settings, "iap", "web", "remove-iam-policy-binding", *place, f"--member={member}", f"--role={DOOR}",
            "--format=none", doing=f"let {member} enter no more",
        )  # fmt: skip
    if there == wanted:
        yield Unchanged(f"those who may enter: {', '.join(sorted(wanted))}")


def started(settings: Settings) -> Asking:
    """The project's number, once it is known that there is a project, and somebody logged in who may see it."""
    require_project(settings)
    yield from login(settings)
    found = yield project(settings)
    if found.get("lifecycleState") != "ACTIVE":
        raise PipelineError(f"project {settings.gcp.project} is {found.get('lifecycleState')}: choose another")
    return str(found["projectNumber"])


def turned_on(settings: Settings) -> Steps:
    """Turn on the APIs that are off; `clean` leaves them on, for others may use them."""
    there = set(((yield enabled(settings)) or "").split())
    missing = tuple(name for name in apis(settings) if name not in there)
    if missing:
        yield enable(settings, missing)
    else:
        yield Unchanged(f"{len(apis(settings))} APIs are on")
