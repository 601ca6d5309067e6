"""Whether the login and the Google Cloud project will do: billing, APIs, zone, and quota for what config asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pipeline import cloud
from pipeline.costs import cpus
from pipeline.errors import PipelineError
from pipeline.findings import Asking, Check, Row, Rows, failed
from pipeline.settings import PLACEHOLDER_PROJECT, Settings
from pipeline.tools import gcloud

SHARED_QUOTA = ("e2", "n1", "f1", "g1")
"""Machine families whose vCPUs count as CPUS; each other family has a quota of its own, such as N2_CPUS."""

SMALLER = "`--set cluster.nodes=… --set cluster.max_nodes=…`, another region, or ask for more: \
https://console.cloud.google.com/iam-admin/quotas"


def login(settings: Settings) -> Rows:
    """Who is logged in, and whether a token can be had: a login may have ended."""
    who = gcloud(
        settings, "auth", "list", "--format=json", doing="look who is logged in", kind="ask", parse="json", unasked=[],
        timeout=60,
    )  # fmt: skip
    token = gcloud(
        settings, "auth", "print-access-token", doing="ask gcloud for a token", kind="ask", parse="text", unasked="",
        timeout=60, secret="an access token",  # noqa: S106  # what it holds, not the token
    )  # fmt: skip
    try:
        yield token
        active = [one["account"] for one in (yield who) if one.get("status") == "ACTIVE"]
    except PipelineError as error:
        return [failed("login", token, error)]
    return [Row("login", "ok", ", ".join(active) or "a token, without an account")]


def named(settings: Settings) -> Row | None:
    """The row of a project that config does not name yet."""
    if settings.gcp.project != PLACEHOLDER_PROJECT:
        return None
    fix = f"write your project's id into config/{settings.environment}.yaml, or give --set gcp.project=…"
    return Row("project", "missing", f'gcp.project is still "{PLACEHOLDER_PROJECT}"', fix)


def project(settings: Settings) -> Rows:
    command = cloud.project(settings)
    try:
        answer = yield command
    except PipelineError as error:
        return [failed("project", command, error)]
    state = answer.get("lifecycleState", "")
    if state != "ACTIVE":
        fix = f"`gcloud projects undelete {settings.gcp.project}`"
        return [Row("project", "missing", f"{settings.gcp.project} is {state}", fix)]
    return [Row("project", "ok", f"{settings.gcp.project}, number {answer.get('projectNumber', '?')}")]


def billing(settings: Settings) -> Rows:
    """Whether somebody pays; who may not look is only warned, for often another one may."""
    name = settings.gcp.project
    command = gcloud(
        settings, "billing", "projects", "describe", name, "--format=json", doing="look who pays", kind="ask",
        parse="json", unasked={"billingEnabled": True}, timeout=60,
    )  # fmt: skip
    try:
        answer = yield command
    except PipelineError as error:
        row = failed("billing", command, error)
        return [Row("billing", "warn", f"not known: {row.found}", row.fix)]
    if answer.get("billingEnabled"):
        return [Row("billing", "ok", answer.get("billingAccountName", "").rpartition("/")[2] or "on")]
    fix = f"`gcloud billing projects link {name} --billing-account=…`; `gcloud billing accounts list` shows yours"
    return [Row("billing", "missing", "nobody pays for the project", fix)]


def apis(settings: Settings) -> Rows:
    """Which APIs are off, and on GKE what Compute Engine's says: while it is off it would say nothing."""
    command = cloud.enabled(settings)
    try:
        on = (yield command).split()
    except PipelineError as error:
        return [failed("APIs", command, error)]
    off = [name for name in cloud.apis(settings) if name not in on]
    short = ", ".join(name.partition(".")[0] for name in off)
    fix = "`invoke deploy` turns them on"
    row = Row("APIs", "warn", f"off: {short}", fix) if off else Row("APIs", "ok", "all that are needed are on")
    if settings.cluster.kind != "gke":
        return [row]
    if on and "compute.googleapis.com" in off:
        return [row, Row("zone and quota", "warn", "not known while the API compute is off", fix)]
    return [row, *(yield from zone(settings)), *(yield from quotas(settings)), *(yield from policies(settings))]


def zone(settings: Settings) -> Rows:
    name = settings.gcp.zone
    command = cloud.ask(settings, "compute", "zones", "describe", name, doing="look at the zone",
                        unasked={"status": "UP"})  # fmt: skip
    fix = f"`gcloud compute zones list --filter=region:{settings.gcp.region}`, then --set gcp.zone=…"
    try:
        answer = yield command
    except PipelineError as error:
        return [failed("zone", command, error)]
    if answer is None:
        return [Row("zone", "missing", f"there is no {name} for this project", fix)]
    if answer.get("status") != "UP":
        return [Row("zone", "missing", f"{name} is {answer.get('status')}", fix)]
    return [Row("zone", "ok", f"{name} is up")]


def quotas(settings: Settings) -> Rows:
    """Whether the region's quotas hold what config asks for; once the cluster is there, they did."""
    region = settings.gcp.region
    command = cloud.ask(settings, "compute", "regions", "describe", region, doing="look at the region's quotas",
                        unasked={"quotas": []})  # fmt: skip
    try:
        there = yield from cluster_there(settings)
        answer = yield command
    except PipelineError as error:
        return [failed("quota", command, error)]
    if answer is None:
        return [Row("quota", "warn", f"not known of {region}", f"`{command}` says more")]
    return list(judged(settings, {one["metric"]: one for one in answer.get("quotas", [])}, there))


def policies(settings: Settings) -> Rows:
    """Whether the cluster heeds the NetworkPolicy before the model server; no row where the zone's said what failed."""
    check = "network policy"
    try:
        found = yield cloud.look_for_cluster(settings)
    except PipelineError:
        return []
    if found and not cloud.obeys_policies(found):
        return [Row(check, "warn", cloud.UNPOLICED, cloud.police(settings))]
    if not found and not (settings.cluster.dataplane_v2 or settings.cluster.autopilot):
        return [Row(check, "warn", f"{cloud.UNPOLICED}: none is heeded there", "--set cluster.dataplane_v2=true")]
    return [Row(check, "ok", "the model server is for the web UI alone")]


def cluster_there(settings: Settings) -> Asking[bool]:
    return bool((yield cloud.look_for_cluster(settings)))


def judged(settings: Settings, quotas: Mapping[str, Mapping[str, float]], there: bool) -> Iterator[Row]:
    """A row for each quota that config needs some of and that the region has."""
    for metric, (need, most) in needs(settings).items():
        quota = quotas.get(metric)
        if quota is None:
            continue
        free = quota["limit"] - quota["usage"]
        found = f"{free:g} of {quota['limit']:g} {metric} free, {need:g} wanted"
        if there:
            yield Row("quota", "ok", f"{free:g} of {quota['limit']:g} {metric} free beside the cluster that is there")
        elif free < need:
            yield Row("quota", "missing", found, SMALLER)
        elif free < most:
            yield Row("quota", "warn", f"{found}, {most:g} at most", SMALLER)
        else:
            yield Row("quota", "ok", found)


def needs(settings: Settings) -> dict[str, tuple[float, float]]:
    """By quota: what the cluster takes at its start, and what it may grow to."""
    cluster, training, serving = settings.cluster, settings.training, settings.serving
    gpus = (training.gpus or 0) * training.gpu_replicas + (serving.gpus or 0) * serving.replicas
    most = gpus + (serving.gpus or 0) * (serving.most_replicas + 1 - serving.replicas)
    graphics = {gpu_quota(settings): (float(gpus), float(most))} if gpus else {}
    if cluster.autopilot:
        return graphics
    processors = cpus(cluster.machine_type) or 0
    family = cluster.machine_type.partition("-")[0]
    counts = (float(cluster.nodes), float(cluster.max_nodes))
    sizes = {
        "CPUS" if family in SHARED_QUOTA else f"{family.upper()}_CPUS": processors,
        "IN_USE_ADDRESSES": 1,
        "SSD_TOTAL_GB": cluster.disk_gb,  # GKE's nodes have balanced disks, which count as SSD
    }
    return {metric: (size * counts[0], size * counts[1]) for metric, size in sizes.items() if size} | graphics


def gpu_quota(settings: Settings) -> str:
    """`nvidia-tesla-t4` counts as NVIDIA_T4_GPUS, on Spot as PREEMPTIBLE_NVIDIA_T4_GPUS."""
    kind = settings.cluster.gpu_type.removeprefix("nvidia-").removeprefix("tesla-").replace("-", "_").upper()
    return f"{'PREEMPTIBLE_' if settings.cluster.spot else ''}NVIDIA_{kind}_GPUS"


CHECKS: tuple[Check, ...] = (project, billing, apis)
"""What does not wait for one another."""
