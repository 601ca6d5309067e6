"""The versions in a model's folder, and whether one is whole: every byte as its checksums.json says."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path, PurePosixPath

MANIFEST = "checksums.json"
GRAPH = "saved_model.pb"
LITERT_MODEL, LITERT_ABOUT = "assets.extra/model.tflite", "assets.extra/litert.json"

# What is read when a version is loaded; a file here that the manifest leaves out was never checked.
_LOADED = (GRAPH, "variables/", "assets/", LITERT_MODEL, LITERT_ABOUT)
_MAX_MANIFEST_BYTES = 1 << 20

# In memory a model takes a few times what it takes on the disk; protobuf's own limit for a graph is 2 GiB.
_MAX_GRAPH_BYTES = 256 << 20
_MAX_VERSION_BYTES = 2 << 30
_MAX_VERSION = (1 << 63) - 1


def list_versions(base_path: Path) -> dict[int, Path]:
    """The folders with a plain whole number for a name, newest (largest) first; OSError if unreadable.

    `1763900000.partial-4711`, a version being written, is no number and so never among them.
    """
    with os.scandir(base_path) as entries:
        found = {int(entry.name): Path(entry.path) for entry in entries if _is_version(entry)}
    return dict(sorted(found.items(), reverse=True))


def _is_version(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    plain = name.isascii() and name.isdigit() and (name == "0" or not name.startswith("0"))
    return plain and len(name) <= 19 and int(name) <= _MAX_VERSION and entry.is_dir()


def fingerprint(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """What changes when anyone touches the folder: every file's path, bytes, change time in ns, inode."""
    seen = []
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            try:
                stat = path.stat()
            except FileNotFoundError:  # it went while we looked: the next look is another fingerprint
                continue
            seen.append((str(path.relative_to(folder)), stat.st_size, stat.st_ctime_ns, stat.st_ino))
    return tuple(sorted(seen))


def why_not_whole(folder: Path) -> str | None:
    """None when the version is whole, else what is missing or wrong, as half a sentence."""
    try:
        if not (folder / GRAPH).is_file():
            return f"{GRAPH} is not there"
        files = _manifest(folder / MANIFEST)
        return (
            _too_large(folder)
            or _unlisted(folder, files)
            or next(filter(None, (_differs(folder, *one) for one in files.items())), None)
        )
    except FileNotFoundError as error:
        return f"{Path(error.filename).relative_to(folder)} is not there"
    except OSError as error:
        return f"{error.filename} cannot be read ({error.strerror})"
    except ValueError as error:
        return f"{MANIFEST} is of no use: {error}"


def _manifest(path: Path) -> dict[str, tuple[int, str]]:
    """The manifest as path → (size in bytes, sha256); ValueError if it does not have the contract's form."""
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise ValueError(f"larger than {_MAX_MANIFEST_BYTES} bytes")
    try:
        files = json.loads(path.read_bytes())["files"]
        listed = {str(name): (int(one["size"]), str(one["sha256"]).lower()) for name, one in files.items()}
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError('not of the form {"files": {"<path>": {"sha256": "…", "size": 123}}}') from error
    for name in listed:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{name} lies outside the version's folder")
    return listed


def _too_large(folder: Path) -> str | None:
    """Found before a byte is read: a version that would take all memory is no reason to read for minutes."""
    graph, whole = (folder / GRAPH).stat().st_size, sum(size for _, size, *_ in fingerprint(folder))
    if graph > _MAX_GRAPH_BYTES:
        return f"{GRAPH} has {graph} bytes, more than the {_MAX_GRAPH_BYTES} that are taken"
    if whole > _MAX_VERSION_BYTES:
        return f"its files have {whole} bytes, more than the {_MAX_VERSION_BYTES} that are taken"
    return None


def _unlisted(folder: Path, files: dict[str, tuple[int, str]]) -> str | None:
    for name, *_ in fingerprint(folder):
        if name.startswith(_LOADED) and name not in files:
            return f"{name} is not in {MANIFEST}"
    return None


def _differs(folder: Path, name: str, expected: tuple[int, str]) -> str | None:
    size, sha256 = expected
    with (folder / name).open("rb") as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            return f"{name} has {found} bytes where {MANIFEST} says {size}"
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            return f"{name} has another sha256 than {MANIFEST} says"
    return None
