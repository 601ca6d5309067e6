"""A container of a manifest as a process on this machine: its argv, environment, folders and ports."""

from __future__ import annotations

import re
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from pipeline import images
from pipeline.clusters.objects import Objects
from pipeline.errors import PipelineError
from pipeline.files import write
from pipeline.processes import marked
from pipeline.settings import ROOT

EMBEDDED = {
    "/usr/bin/tensorflow_model_server": ("serving", "--share_ports"),
    "/usr/sbin/nginx": ("serving.router",),
}
"""Programs of images that are not ours, and the package of this checkout that takes the same flags, with its own."""

NEVER_HERE = ("/usr/sbin/nginx",)
"""Of these, those that are not used where the machine has them: this one would listen on all of its addresses."""


@dataclass(frozen=True)
class Process:
    """What to run for a container. `source` changes with the code, so that new code means a new process."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    source: str

    def spec(self) -> dict[str, Any]:
        return asdict(self)


def process(pod: dict[str, Any], owner: str, home: Path, objects: Objects) -> Process:
    """The process for a pod's one container.

    Mounted ConfigMaps are written below `home` and named there in the arguments; an emptyDir at /tmp becomes TMPDIR.
    Raises PipelineError for what a process cannot have: several containers, other volumes, values from elsewhere.
    """
    if len(pod["containers"]) != 1:
        raise PipelineError(f"{owner}: the local cluster runs pods of one container, not {len(pod['containers'])}")
    container = pod["containers"][0]
    folders = {
        mount["mountPath"]: folder(pod, mount, owner, home, objects) for mount in container.get("volumeMounts", [])
    }
    env = {one["name"]: moved(plain(one, owner), folders) for one in container.get("env", [])}
    if "/tmp" in folders:  # noqa: S108  # the container's, not ours
        env["TMPDIR"] = str(folders["/tmp"])  # noqa: S108
    argv, source = program(container)
    arguments = tuple(moved(argument, folders) for argument in container.get("args", []))
    return Process((*argv, *arguments), env, str(images.workdir(container["image"])), source)


def plain(variable: dict[str, Any], owner: str) -> str:
    """An environment variable's value; there is no Secret or field to take one from."""
    if "valueFrom" in variable:
        raise PipelineError(f"{owner}: variable {variable['name']} has valueFrom, which a local process cannot have")
    return str(variable.get("value", ""))


def program(container: dict[str, Any]) -> tuple[tuple[str, ...], str]:
    """The container's command on this machine, and what identifies the code behind it."""
    name, *rest = container["command"]
    if name in EMBEDDED and (name in NEVER_HERE or not Path(name).exists()):
        package = EMBEDDED[name]
        return (sys.executable, "-m", *package, *rest), images.content_hash(ROOT / "serving")[:12]
    beside = Path(sys.executable).parent / name
    here = sys.executable if name == "python" else str(beside) if beside.exists() else name
    return (here, *rest), container["image"]


def folder(pod: dict[str, Any], mount: dict[str, Any], owner: str, home: Path, objects: Objects) -> Path:
    """The folder behind a volume mount, made and filled."""
    volume = next((one for one in pod.get("volumes", []) if one["name"] == mount["name"]), None)
    if volume is None:
        raise PipelineError(f"{owner}: mount {mount['mountPath']} names volume {mount['name']}, which is not declared")
    path = Path(mount["mountPath"]) if Path(mount["mountPath"]).is_relative_to(ROOT) else home / owner / mount["name"]
    if "configMap" in volume:
        name = volume["configMap"]["name"]
        found = objects.get("ConfigMap", name)
        if found is None:
            raise PipelineError(f"{owner}: ConfigMap {name} is not there: apply it first")
        for key, text in found.get("data", {}).items():
            write(path / key, text)
    elif "emptyDir" not in volume:
        kinds = ", ".join(key for key in volume if key != "name")
        raise PipelineError(f"{owner}: the local cluster has no volumes of kind {kinds}")
    path.mkdir(parents=True, exist_ok=True)
    return path


def moved(text: str, folders: dict[str, Path]) -> str:
    """The text with each mount's path, standing alone or behind `=`, replaced by the folder behind it."""
    for mount, path in folders.items():
        if mount != "/tmp" and not Path(mount).is_relative_to(ROOT):  # noqa: S108
            behind = str(path).replace("\\", r"\\")
            text = re.sub(rf"(^|=){re.escape(mount)}(?=/|$)", rf"\g<1>{behind}", text)
    return text


def ports(pod: dict[str, Any]) -> list[int]:
    """The ports that a pod's container says it listens on."""
    return [port["containerPort"] for container in pod["containers"] for port in container.get("ports", [])]


def port_number(pod: dict[str, Any], port: int | str) -> int:
    """A port given by number or by name."""
    named = {one.get("name"): one["containerPort"] for one in pod["containers"][0].get("ports", [])}
    if isinstance(port, str) and port not in named:
        raise PipelineError(f'no port is named "{port}": known are {", ".join(map(str, named)) or "none"}')
    return int(named.get(port, port))


def holder(port: int, but: Path | None = None) -> str | None:
    """Who listens on a loopback port, in words; None if it is free, or held by a process of the build folder `but`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if isinstance(error, PermissionError):
                return "the system, which keeps ports below 1024 for root"
        else:
            return None
    try:
        there = [one.pid for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port and one.pid]
        if but is not None and any(process.pid in there for process in marked(but)):
            return None
        return f'"{psutil.Process(there[0]).name()}" (process {there[0]})' if there else "another program"
    except psutil.Error:  # macOS shows other people's connections to root only
        return "another program"
