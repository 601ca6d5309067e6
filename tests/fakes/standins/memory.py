"""What the docker stand-in keeps: images, builds, pushes and runs; and the faults that a test asked for."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DOWN = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
REASONS = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


class Failed(Exception):
    """What docker says on stderr, and its exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


class Memory:
    """The folder that holds memory and faults."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.lock = os.open(f"{folder}/.docker.lock", os.O_RDWR | os.O_CREAT)

    def note(self, change: Any) -> Any:
        """Change the memory by a function, one process at a time."""
        return self.edit("docker.json", {"images": {}, "builds": [], "pushes": [], "runs": []}, change)

    def edit(self, name: str, empty: dict[str, Any], change: Any) -> Any:
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        try:
            path = f"{self.folder}/{name}"
            memory = {**empty, **read(path)}
            result = change(memory)
            with open(f"{path}.new", "w") as file:  # noqa: PTH123 - pathlib costs a tenth of the start
                json.dump(memory, file, indent=1)
            os.replace(f"{path}.new", path)  # noqa: PTH105
            return result
        finally:
            fcntl.flock(self.lock, fcntl.LOCK_UN)

    def image(self, reference: str) -> dict[str, Any] | None:
        found = read(f"{self.folder}/docker.json").get("images", {}).get(reference)
        return dict(found) if found else None

    def fault(self, command: str) -> dict[str, Any]:
        """The fault that this command meets, counted down; empty if none."""
        if command not in {named for fault in read(f"{self.folder}/docker.faults.json").get("faults", [])
                           for named in (fault["command"], command if fault["command"] == "*" else "")}:  # fmt: skip
            return {}

        def due(control: dict[str, Any]) -> dict[str, Any]:
            for fault in control["faults"]:
                if fault["command"] in (command, "*") and fault.setdefault("times", 1):
                    if fault.get("skip", 0):
                        fault["skip"] -= 1
                        continue
                    fault["times"] -= 1
                    return dict(fault)
            return {}

        return dict(self.edit("docker.faults.json", {"faults": []}, due))

    def needs_daemon(self) -> None:
        if read(f"{self.folder}/docker.faults.json").get("down"):
            raise Failed(DOWN)


def meet(fault: dict[str, Any]) -> None:
    """Let an injected fault happen; nothing if there is none, or only a delay."""
    time.sleep(fault.get("delay", 0))
    if fault.get("kill"):
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if fault.get("status"):
        raise Failed(f"received unexpected HTTP status: {fault['status']} {REASONS.get(fault['status'], 'Error')}")
    if "stderr" in fault or "code" in fault:
        raise Failed(fault.get("stderr", "injected"), fault.get("code", 1))


def read(path: str) -> dict[str, Any]:
    try:
        with open(path) as file:  # noqa: PTH123
            return dict(json.load(file))
    except FileNotFoundError:
        return {}
