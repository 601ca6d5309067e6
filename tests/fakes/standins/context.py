"""A build context as docker would send it: which files, a hash over them, and no private key among them."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re

SECRET = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\"private_key\"\s*:|CANARY-SECRET")


class Refused(Exception):
    """Why this folder cannot be built."""


class Context:
    """The files of a folder that its .dockerignore does not name, in order."""

    def __init__(self, folder: str, dockerfile: str = "") -> None:
        if not os.path.isdir(folder):  # noqa: PTH112
            raise Refused(f'unable to prepare context: path "{folder}" not found')
        file = dockerfile or os.path.join(folder, "Dockerfile")  # noqa: PTH118
        if not os.path.isfile(file):  # noqa: PTH113
            raise Refused(f"unable to prepare context: unable to evaluate symlinks in Dockerfile path: lstat {file}: "
                          "no such file or directory")  # fmt: skip
        self.folder, self.ignored = folder, ignored(folder)
        self.names = sorted(self.found())
        digest = hashlib.sha256()
        for name in self.names:
            data = self.bytes_of(name)
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        with open(file, "rb") as text:  # noqa: PTH123
            digest.update(text.read())
        self.digest = digest.hexdigest()

    def found(self) -> list[str]:
        names = []
        for place, _, files in os.walk(self.folder):
            for file in files:
                name = os.path.relpath(os.path.join(place, file), self.folder)  # noqa: PTH118
                if not any(matches(name, pattern) for pattern in self.ignored):
                    names.append(name)
        return names

    def bytes_of(self, name: str) -> bytes:
        with open(os.path.join(self.folder, name), "rb") as file:  # noqa: PTH118, PTH123
            data = file.read()
        if SECRET.search(data):
            raise Refused(f"refused by the stand-in: {name} in the build context looks like a private key")
        return data

    @staticmethod
    def hash(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()


def ignored(folder: str) -> list[str]:
    """The patterns of .dockerignore; exceptions (`!x`) are not known, and refused."""
    try:
        with open(os.path.join(folder, ".dockerignore")) as file:  # noqa: PTH118, PTH123
            lines = [line.strip() for line in file]
    except FileNotFoundError:
        return []
    patterns = [line for line in lines if line and not line.startswith("#")]
    if any(pattern.startswith("!") for pattern in patterns):
        raise Refused("the stand-in does not know `!` in .dockerignore")
    return patterns


def matches(name: str, pattern: str) -> bool:
    """Whether the name, or a folder above it, matches; `**/` means any depth, none included."""
    parts = name.split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    if pattern.startswith("**/"):
        return any(fnmatch.fnmatch(part, pattern[3:].rstrip("/")) for part in (*parts, *above))
    return any(fnmatch.fnmatch(place, pattern.strip("/")) for place in above)
