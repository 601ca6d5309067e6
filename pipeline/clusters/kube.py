"""kubectl on the environment's cluster: whose cluster it is, looking at objects, and applying manifests."""

from __future__ import annotations

import json
import re
from typing import Any

from pipeline import manifests
from pipeline.clusters import podstates
from pipeline.commands import Asking, Command, Diff, Remove, Steps, Unchanged, Write
from pipeline.errors import PipelineError
from pipeline.manifests import Manifest
from pipeline.settings import MANAGED_BY, Settings
from pipeline.tools import kubectl

MARKER = "pipeline-environment"
"""The ConfigMap that says in the cluster itself which environment it is: templates/marker.yaml.j2."""


NOTED = "pipeline/noted"
"""The annotation whose change makes a kubelet look at a pod."""

KUBEFLOW = "kubeflow"
"""The namespace where the training operator's own manifests put it."""


NO_KIND = r"the server doesn't have a resource type|could not find the requested resource"
"""In stderr: the cluster has no such kind of object."""


def ours(settings: Settings) -> dict[str, str]:
    """The labels that all of this environment's objects bear, and nothing else does."""
    return {
        "app.kubernetes.io/managed-by": MANAGED_BY, "app.kubernetes.io/part-of": settings.name,
        "pipeline/environment": settings.environment,
    }  # fmt: skip


def selector(settings: Settings) -> str:
    """Finds all that this environment made in a cluster, and nothing else."""
    return ",".join(f"{key}={value}" for key, value in ours(settings).items())


def look(settings: Settings, *words: str, doing: str, **how: Any) -> Command:
    """A kubectl question whose answer is JSON."""
    needs = ("cluster", *how.pop("needs", ()))
    how = {"parse": "json", "timeout": 60, "unasked": None, **how}
    return kubectl(settings, *words, "--output=json", doing=doing, kind="ask", needs=needs, **how)


def get(settings: Settings, kind: str, name: str, **how: Any) -> Command:
    """Asks for one object; the answer is None where there is none."""
    how = {"absent": NO_KIND, **how}
    more = ["--show-managed-fields"] if how.pop("show_managers", False) else []
    return look(settings, "get", kind, name, "--ignore-not-found", *more, doing=f"look for {kind} {name}", **how)


def found(settings: Settings, kind: str, name: str) -> Asking:
    """An object as it was applied; None where there is none, or is nothing to ask yet."""
    return (yield get(settings, kind.lower(), name, needs=("namespace",)))


def refreshed(settings: Settings, component: str, value: str) -> Steps:
    """Annotate a component's pods: the kubelet then brings their changed ConfigMaps at once, not within a minute.

    https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/
    """
    pods = f"--selector={selector(settings)},app.kubernetes.io/name={component}"
    yield kubectl(
        settings, "annotate", "pods", pods, f"{NOTED}={value}", "--overwrite", retry=True, timeout=60,
        doing=f"have the pods of {component} look at their files",
    )  # fmt: skip


def exists(settings: Settings, kind: str, name: str) -> Command:
    """Asks whether there is an object, without reading it: a Secret's content must not come here."""
    return kubectl(
        settings, "get", kind, name, "--ignore-not-found", "--output=name", doing=f"look for {kind} {name}", kind="ask",
        parse="text", unasked="", needs=("cluster", "namespace"), timeout=60,
    )  # fmt: skip


def rendered(settings: Settings, component: str) -> list[Manifest]:
    """A component's manifests that depend on no version and no image."""
    return manifests.render(settings, component, "")


def poll(settings: Settings, *words: str, done: Any, **how: Any) -> Command:
    """A question asked again and again while waiting; where nothing is asked, `done` stands for its answer."""
    return kubectl(
        settings, *words, "--output=json", doing=f"look at {words[1]}", kind="wait", quiet=True, parse="json",
        unasked=done, timeout=60, **how,
    )  # fmt: skip


def events(settings: Settings, name: str, kind: str = "Pod") -> Asking:
    """The last events of an object: what kept a pod from having a log."""
    only = f"--field-selector=involvedObject.kind={kind},involvedObject.name={name}"
    found = yield poll(settings, "get", "events", only, done={"items": []})
    return "\n".join(f"{event.get('reason')}: {event.get('message')}" for event in found["items"][-3:])


def apply_command(settings: Settings, *words: str, doing: str, **how: Any) -> Command:
    """`kubectl apply`, which may be repeated."""
    return kubectl(settings, "apply", *words, doing=doing, **{"retry": True, "timeout": 180, **how})


def guarded(settings: Settings) -> Steps:
    """Refuse to go on unless the cluster that kubectl would talk to bears this environment's mark."""
    marker = yield get(settings, "configmap", MARKER, needs=("marker",), unasked=expected(settings))
    wrong = whose(settings, marker)
    if wrong:
        raise PipelineError(f"nothing was done: {wrong}")


def expected(settings: Settings) -> Manifest:
    """The marker as this environment's cluster has it."""
    return manifests.render(settings, "marker", "")[0]


def whose(settings: Settings, marker: Manifest | None) -> str:
    """Empty if the marker is this environment's, else what is wrong, in words."""
    place = f"namespace {settings.cluster.namespace} of the cluster in build/{settings.environment}/kubeconfig"
    if marker is None:
        return (
            f"the {place} does not say that it is environment {settings.environment}'s: it is another cluster, or "
            f"`invoke --env={settings.environment} deploy` has not been run"
        )
    theirs, ours = marker.get("data", {}), expected(settings)["data"]
    differing = [key for key in ours if theirs.get(key) != ours[key]]
    if not differing:
        return ""
    said = ", ".join(f"{key} {theirs.get(key)}, not {ours[key]}" for key in differing)
    return f"the {place} belongs to somebody else ({said})"


def file_for(settings: Settings, component: str) -> Any:
    return settings.build / f"{component}.yaml"


def applied(
    settings: Settings, component: str, documents: list[Manifest], *, makes: str = "", needs: tuple[str, ...] = ()
) -> Steps:
    """Write a component's manifests and apply them if the cluster's objects differ from them."""
    path = file_for(settings, component)
    yield Write(path, manifests.dump(documents))
    named = ", ".join(f"{one['kind']} {one['metadata']['name']}" for one in documents)
    code, difference = yield kubectl(
        settings, "diff", f"--filename={path}", doing=f"compare {named}", kind="ask", codes=(0, 1), timeout=120,
        needs=("cluster", "namespace", *needs), unasked=(1, ""),
    )  # fmt: skip
    stale = yield from ended(settings, documents, code != 0)
    if code == 0:
        stale |= yield from hanging(settings, documents)
    else:
        yield Diff(changed(difference))
        yield from handed_over(settings, documents)
    for (kind, name), why in stale.items():
        yield kubectl(
            settings, "delete", kind, name, "--ignore-not-found", "--wait=true", "--timeout=2m", limit="0",
            doing=f"delete {kind} {name}, which {why}", retry=True, timeout=150,
        )  # fmt: skip
    if code == 0 and all(kind == "pod" for kind, _ in stale):
        yield Unchanged(f"{named}: as in {path.name}")
        return
    yield apply_command(settings, f"--filename={path}", doing=f"apply {named}", makes=makes)


def withdrawn(settings: Settings, component: str, documents: list[Manifest]) -> Steps:
    """Delete a component's objects, those that are there, and wait until they and their pods are gone."""
    path, there = file_for(settings, f"no-{component}"), list[Manifest]()
    for one in documents:
        if (yield get(settings, one["kind"].lower(), one["metadata"]["name"], needs=("namespace",))):
            there.append(one)
    if not there:
        return
    named = ", ".join(f"{one['kind']} {one['metadata']['name']}" for one in there)
    yield Write(path, manifests.dump(there))
    yield kubectl(
        settings, "delete", f"--filename={path}", "--cascade=foreground", "--ignore-not-found", "--wait=true",
        "--timeout=2m", limit="0", doing=f"delete {named}", retry=True, timeout=150,
    )  # fmt: skip
    yield Remove(path)


LAST = "kubectl.kubernetes.io/last-applied-configuration"
"""Where `kubectl apply` remembers what it wrote, to take away what is written no more."""


def handed_over(settings: Settings, documents: list[Manifest]) -> Steps:
    """Forget that we said how many pods a Deployment has, where that is an autoscaler's from now on.

    Else `kubectl apply` would take the number away, and Kubernetes would end all pods but one.
    """
    for one in documents:
        if one["kind"] == "Deployment" and "replicas" not in one["spec"]:
            name = one["metadata"]["name"]
            found = yield get(settings, "deployment", name, needs=("namespace",))
            said = json.loads(((found or {}).get("metadata", {}).get("annotations") or {}).get(LAST, "{}"))
            if said.get("spec", {}).pop("replicas", None) is not None:
                yield kubectl(
                    settings, "annotate", "deployment", name, f"{LAST}={json.dumps(said)}", "--overwrite", retry=True,
                    doing=f"leave the number of {name}'s pods to the autoscaler", timeout=60,
                )  # fmt: skip


def changed(difference: str) -> str:
    """A difference without the objects that are not there yet: all of such a one would be new."""
    parts = re.split(r"^(?=diff )", difference, flags=re.MULTILINE)
    return "".join(part for part in parts if "\n@@ -0,0 " not in part)


def ended(settings: Settings, documents: list[Manifest], differs: bool) -> Asking:
    """The jobs that must go first, and why: a failed one is not run again, a changed one cannot be changed."""
    stale = dict[tuple[str, str], str]()
    for one in documents:
        if one["kind"] in ("Job", "TFJob", "Experiment"):
            kind, name = one["kind"].lower(), one["metadata"]["name"]
            found = yield get(settings, kind, name, needs=("namespace",))
            if found and (differs or "Failed" in conditions(found)):
                stale[kind, name] = "cannot be run again"
    return stale


def hanging(settings: Settings, documents: list[Manifest]) -> Asking:
    """What hangs though it is as it should be, and in what: Kubernetes would try it again only minutes later.

    Of a server its pods; a job as a whole, for to it a pod that was deleted has failed.
    """
    stale = dict[tuple[str, str], str]()
    for one in documents:
        kind, name = one["kind"].lower(), one["metadata"]["name"]
        if kind in ("job", "tfjob", "deployment", "inferenceservice"):
            pods = yield look(
                settings, "get", "pods", f"--selector={podstates.selector(one)}", doing=f"look at the pods of {name}",
                unasked={"items": []}, needs=("namespace",),
            )  # fmt: skip
            for trouble in filter(None, map(podstates.trouble, pods["items"])):
                if trouble.hopeless:
                    what = (kind, name) if "job" in kind else ("pod", trouble.pod)
                    stale[what] = f"hangs in {trouble.reason}"
    return stale


def conditions(found: Manifest) -> set[str]:
    """The conditions of an object that hold."""
    return {one["type"] for one in found.get("status", {}).get("conditions", []) if one["status"] == "True"}


def namespace(settings: Settings) -> Steps:
    """Make the namespace where it is not there; one that somebody else made is used and left as it is."""
    name = settings.cluster.namespace
    found = yield get(settings, "namespace", name)
    if found:
        yield Unchanged(f"namespace {name} is there")
        return
    document: Manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": security(settings)},
    }
    path = file_for(settings, "namespace")
    yield Write(path, manifests.dump([manifests.label(document, settings, "namespace")]))
    yield apply_command(settings, f"--filename={path}", doing=f"make namespace {name}", makes="namespace")


def security(settings: Settings) -> dict[str, str]:
    """Pod Security "restricted": enforced where only our pods are, else warned about, for others' pods may not pass.

    What Katib puts beside a trial's container does not.
    """
    others = settings.cluster.namespace == KUBEFLOW or "katib" in settings.kubeflow.components
    mode = "warn" if others else "enforce"
    return {f"pod-security.kubernetes.io/{mode}": "restricted"}


def mark(settings: Settings) -> Steps:
    """Write into the cluster whose it is; PipelineError where it says that it is another environment's."""
    found = yield get(settings, "configmap", MARKER, needs=("namespace",))
    wrong = found and whose(settings, found)
    if wrong:
        raise PipelineError(f"nothing was done: {wrong}; choose another cluster.namespace")
    if found:
        yield Unchanged(f"the cluster says that it is environment {settings.environment}'s")
        return
    path = file_for(settings, "marker")
    yield Write(path, manifests.dump(manifests.render(settings, "marker", "")))
    doing = f"note in the cluster that it is environment {settings.environment}'s"
    yield apply_command(settings, f"--filename={path}", doing=doing, makes="marker")
