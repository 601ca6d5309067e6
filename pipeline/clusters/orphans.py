"""What a GKE cluster that is gone left in Compute Engine: load balancers at our addresses, disks with our labels."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from pipeline import cloud, resources
from pipeline.commands import Note, Step, Steps
from pipeline.errors import PipelineError
from pipeline.settings import Settings
from pipeline.tools import labels


def removed(settings: Settings) -> Generator[Step, Any, list[str]]:
    """Delete them; the return value lists the failures in words."""
    failures = list[str]()
    for steps in (balancers(settings), disks(settings)):
        try:
            yield from steps
        except PipelineError as error:
            failures.append(str(error.message))
            yield Note(f"{error.message}; going on with the rest", always=True)
    return failures


def after_cluster(settings: Settings, *words: str, doing: str) -> Any:
    """A question about what is left once the cluster is gone; not asked while it is only going to be."""
    return cloud.ask(settings, *words, doing=doing, unasked=[], needs=("no cluster",))


def balancers(settings: Settings) -> Steps:
    """Forwarding rules at an address that we reserved, and what stands behind them under the same name."""
    ours = set[str]()
    for reserved in (cloud.page_address(settings), cloud.iap_address(settings)):
        found = yield reserved.look
        if found and not resources.owner(settings, reserved, found):
            ours.add(found.get("address"))
    if not ours:
        return
    rules = yield after_cluster(settings, "compute", "forwarding-rules", "list", doing="look for load balancers")
    for rule in rules or []:
        if rule.get("IPAddress") in ours:
            yield from torn_down(settings, rule)


BEHIND = {
    "targetPool": "target-pools", "backendService": "backend-services", "targetHttpProxy": "target-http-proxies",
    "targetHttpsProxy": "target-https-proxies",
}  # fmt: skip
"""What a target's URL calls a thing, and gcloud's group for it."""


def torn_down(settings: Settings, rule: dict[str, Any]) -> Steps:
    """One forwarding rule, what it leads to, and the firewall rule that GKE makes under its name."""
    name, place = rule["name"], place_of(rule)
    yield cloud.undo(
        settings, "compute", "forwarding-rules", "delete", name, place, doing=f"delete the forwarding rule {name}"
    )
    target = rule.get("target") or rule.get("backendService") or ""
    *_, plural, behind = ["", *target.split("/")][-2:]
    group = next((group for kind, group in BEHIND.items() if plural == f"{kind}s".replace("ys", "ies")), None)
    if group:
        what = group.removesuffix("s").replace("-", " ")
        yield cloud.undo(settings, "compute", group, "delete", behind, place, doing=f"delete the {what} {behind}")
    wall = behind if group == "backend-services" else f"k8s-fw-{name}"
    yield cloud.undo(
        settings, "compute", "firewall-rules", "delete", wall, doing=f"delete the firewall rule {wall}"
    )  # fmt: skip


def place_of(thing: dict[str, Any]) -> str:
    region = str(thing.get("region", "")).rsplit("/", 1)[-1]
    return f"--region={region}" if region else "--global"


VOLUME = "goog-gke-volume"
"""The label, without a value, of the disks that GKE made for volumes."""


def disks(settings: Settings) -> Steps:
    """Volumes of a cluster that is gone; GKE hands the cluster's labels on to them."""
    marks = " AND ".join(f"labels.{key}={value}" for key, value in labels(settings).items())
    found = yield after_cluster(settings, "compute", "disks", "list", f"--filter={marks}", doing="look for disks")
    for disk in (one for one in found or [] if VOLUME in one.get("labels", {})):
        zone = str(disk["zone"]).rsplit("/", 1)[-1]
        name = str(disk["name"])
        yield cloud.undo(
            settings, "compute", "disks", "delete", name, f"--zone={zone}", doing=f"delete the disk {name}"
        )
