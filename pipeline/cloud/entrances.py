"""The page's ways from the internet: reserved addresses, a DNS name, and whom Identity-Aware Proxy lets through."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from pipeline import endpoint
from pipeline.cloud.asking import ask, change, read, told, undo
from pipeline.commands import Asking, Steps, Unchanged
from pipeline.errors import PipelineError
from pipeline.resources import Resource
from pipeline.settings import Settings


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
