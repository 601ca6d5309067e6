"""What a test says to the docker stand-in, and what that has noted down."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Write and rename, so that a program that starts meanwhile reads the old text or the new one."""
    whole = path.with_name(f".{path.name}.{os.getpid()}")
    whole.write_text(text, encoding="utf-8")
    whole.chmod(mode)
    whole.replace(path)


class Docker:
    """What a test says to the docker stand-in of a folder, and what that has noted down."""

    def __init__(self, bin: Path) -> None:
        self.control, self.memory = bin / "docker.faults.json", bin / "docker.json"

    def fail(self, command: str, **how: Any) -> None:
        """From now on let `command` ("push", "build", …; "*": any) go wrong.

        `times` (1) after letting `skip` (0) through; with `stderr` and `code` (1); `delay`: seconds before it;
        `kill`: end by SIGKILL midway; `status`: as if the registry had answered so, for push.
        """
        faults = self.read(self.control).get("faults", [])
        put(self.control, json.dumps({**self.read(self.control), "faults": [*faults, {"command": command, **how}]}))

    def daemon(self, up: bool) -> None:
        """Whether the daemon can be reached."""
        put(self.control, json.dumps({**self.read(self.control), "down": not up}))

    @property
    def builds(self) -> list[dict[str, Any]]:
        """Each build: argv, tags, labels, platform, args, files, context (a hash) and digest."""
        return list(self.read(self.memory).get("builds", []))

    @property
    def pushes(self) -> list[str]:
        """The references that reached the registry, in order."""
        return list(self.read(self.memory).get("pushes", []))

    @property
    def runs(self) -> list[list[str]]:
        """The argv of each `docker run`."""
        return list(self.read(self.memory).get("runs", []))

    @staticmethod
    def read(path: Path) -> dict[str, Any]:
        return dict(json.loads(path.read_text())) if path.exists() else {}
