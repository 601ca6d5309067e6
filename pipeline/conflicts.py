"""What single settings cannot say about themselves: two that do not fit each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline import names
from pipeline.settings import ROOT, Settings

Conflict = tuple[str, str]
"""The setting to change, by its dotted key, and the sentence about it."""

ALIKE = "and on this machine nothing leads from one to the other; give both the same"


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Every pair of settings that cannot both hold."""
    yield from _zone(settings)
    yield from _bucket(settings)
    yield from _address(settings)
    yield from _ports(settings)


def _zone(settings: Settings) -> Iterator[Conflict]:
    region, zone = settings.gcp.region, settings.gcp.zone
    if zone.rpartition("-")[0] != region:
        yield "gcp.zone", f'"{zone}" does not lie in gcp.region "{region}"; write one like {region}-c'


def _bucket(settings: Settings) -> Iterator[Conflict]:
    given = settings.storage.bucket
    if settings.storage.kind == "gcs":
        name = settings.bucket.removeprefix("gs://")
        made = "" if given else " (made from gcp.project and name; write another)"
        yield from _broken(names.bucket_name, "storage.bucket", given or name, made)
    elif re.search(r"[*?\[]", settings.bucket):
        yield "storage.bucket", f'TensorFlow takes "{settings.bucket}" for a pattern; write a place without *, ? and ['
    elif given is not None:
        yield from _broken(names.text, "storage.bucket", given)
        place, checkout = Path(settings.bucket), ROOT
        if given.startswith("~"):
            yield "storage.bucket", f'"{given}" is taken as it stands; write your home folder out'
        elif checkout.is_relative_to(place) or place in (checkout / "build", settings.build):
            yield "storage.bucket", f'"{given}" holds more than models; write a folder of its own'


def _address(settings: Settings) -> Iterator[Conflict]:
    # On a cluster the first part of the address is the Service that we create.
    if settings.cluster.kind != "local":
        yield from _broken(names.service_name, "serving.address", settings.serving.address.split(".")[0])


def _ports(settings: Settings) -> Iterator[Conflict]:
    listening = [
        ("serving.grpc_port", settings.serving.grpc_port),
        ("serving.rest_port", settings.serving.rest_port),
    ]
    if settings.cluster.kind == "local":  # every component listens on this machine, and nothing forwards
        for key, component in (("web_ui", settings.web_ui), ("tensorboard", settings.tensorboard)):
            listening.append((f"{key}.port", component.port))
            if component.service_port != component.port:
                yield (
                    f"{key}.service_port",
                    f"{component.service_port} differs from {key}.port {component.port}, {ALIKE}",
                )
    seen: dict[int, str] = {}
    for key, port in listening:
        if port in seen:
            yield key, f"{port} is {seen[port]} already; two servers cannot share a port"
        seen.setdefault(port, key)


def _broken(rule: Callable[[str], str], key: str, text: str, addition: str = "") -> Iterator[Conflict]:
    try:
        rule(text)
    except ValueError as error:
        yield key, f"{error}{addition}"
