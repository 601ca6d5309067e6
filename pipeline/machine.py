"""Whether this machine will do: Python, disk, memory, ports, and variables that other tools would obey."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator

import psutil

from pipeline.clusters.local import DISK_NEEDED
from pipeline.clusters.pods import holder
from pipeline.commands import Probe
from pipeline.costs import gigabytes
from pipeline.findings import Row, Rows
from pipeline.settings import ROOT, Settings

OLDEST_PYTHON = (3, 11)

AMBIENT = re.compile(r"KUBECONFIG|CLOUDSDK_\w+|GOOGLE_APPLICATION_CREDENTIALS|GOOGLE_CLOUD_PROJECT|DOCKER_CONFIG")
"""Variables that gcloud, kubectl, docker and Google's libraries would obey, and that ours never see."""

SECRET = re.compile(r"(TOKEN|PASSWORD|SECRET)$")


def rows(settings: Settings) -> Rows:
    """A row for each thing that every environment needs of this machine."""
    return [*(yield Probe("this machine", lambda: list(looked(settings)), []))]


def looked(settings: Settings) -> Iterator[Row]:
    yield python(sys.version_info[:3], sys.prefix != sys.base_prefix)
    yield disk(shutil.disk_usage(ROOT).free)
    yield memory(settings, psutil.virtual_memory().available)
    if settings.cluster.kind == "local":
        yield from ports(settings)
    else:
        yield variables(dict(os.environ))


def python(version: tuple[int, ...], isolated: bool) -> Row:
    """Python's version, and whether it runs in an environment of its own."""
    text = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        return Row("Python", "missing", f"{text} is too old", f"PYTHON=/path/to/python{wanted} ./inv")
    if not isolated:
        return Row("Python", "warn", f"{text}, shared with other programs", "`./inv` makes an environment of its own")
    return Row("Python", "ok", f"{text} in {sys.prefix}")


def disk(free: int) -> Row:
    if free < DISK_NEEDED:
        needed = f"{DISK_NEEDED / 1e6:.0f} MB are needed"
        return Row("disk", "missing", f"{free / 1e6:.0f} MB free, {needed}", f"make room where {ROOT} is")
    return Row("disk", "ok", f"{free / 1e9:.1f} GB free")


def memory(settings: Settings, available: int) -> Row:
    """Memory for what runs on this machine: the trainer where it is local, else only the tools."""
    needed = gigabytes(settings.training.memory) if settings.cluster.kind == "local" else 0.5
    found = f"{available / 2**30:.1f} GiB available"
    if available < needed * 2**30:
        return Row("memory", "warn", f"{found}, up to {needed:g} GiB are used", "close other programs")
    return Row("memory", "ok", found)


def ports(settings: Settings) -> Iterator[Row]:
    """Each port that something of the environment listens on here."""
    listening = {
        "serving.grpc_port": settings.serving.grpc_port, "serving.rest_port": settings.serving.rest_port,
        "web_ui.port": settings.web_ui.port, "tensorboard.port": settings.tensorboard.port,
    }  # fmt: skip
    for key, port in listening.items():
        yield port_row(key, port, holder(port, but=settings.build))


def port_row(key: str, port: int, taken_by: str | None) -> Row:
    if taken_by is None:
        return Row(f"port {port}", "ok", f"free, for {key}")
    also = f" --set {key.replace('port', 'service_port')}=…" if key.startswith(("web_ui", "tensorboard")) else ""
    return Row(f"port {port}", "missing", f"taken by {taken_by}", f"stop it, or --set {key}=…{also}")


def variables(environment: dict[str, str]) -> Row:
    """The variables that would lead a tool elsewhere: named, and not obeyed."""
    found = [name for name in sorted(environment) if AMBIENT.fullmatch(name)]
    if not found:
        return Row("variables", "ok", "none that would lead a tool elsewhere")
    shown = ", ".join(name if SECRET.search(name) else f"{name}={environment[name]}" for name in found)
    login = " (of CLOUDSDK_CONFIG the login is taken)" if "CLOUDSDK_CONFIG" in found else ""
    return Row("variables", "ok", f"not obeyed{login}: {shown}")
