"""Files on this machine and on gs:// alike; what is written appears under its name only when it is whole."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from trainer.errors import TrainerError
from trainer.quiet import load_tensorflow


class MissingError(TrainerError):
    """There is no such file."""


NOT_FOUND = 5
"""TensorFlow's code, which is gRPC's, for what is not there."""


def is_remote(path: str) -> bool:
    """Tell whether the path has a scheme (gs://, and ram:// in tests) and so goes through TensorFlow."""
    return "://" in path


def join(folder: str, *names: str) -> str:
    """Give the path of a file in a folder, local or remote."""
    return "/".join([folder.rstrip("/") or "/", *names])


def names_in(folder: str) -> list[str]:
    """List the names in a folder, sorted and without trailing slashes; an absent folder has none.

    Raises TrainerError where that cannot be known: a bucket that is gone or closed is no empty folder.
    """
    with saying(f"read the folder {folder}"):
        if not is_remote(folder):
            return sorted(path.name for path in Path(folder).iterdir()) if Path(folder).is_dir() else []
        return sorted(name.rstrip("/") for name in _remote_names(folder) if name.rstrip("/"))


def read(path: str) -> bytes:
    """Give a file's bytes; raises MissingError where there is none, TrainerError where it cannot be read."""
    with saying(f"read {path}"):
        if not is_remote(path):
            return Path(path).read_bytes()
        with _gfile().GFile(path, "rb") as file:
            return file.read()


def write(path: str, content: bytes) -> None:
    """Write a file that is there whole or not at all, also after a loss of power; makes its folder.

    A gs:// object appears when its upload is complete; a local file is written beside its place, synced and
    renamed.
    """
    with saying(f"write {path}"):
        if is_remote(path):
            _write_remote(path, content)
        else:
            _write_local(Path(path), content)


def remove(path: str) -> None:
    """Remove a file, or a folder with everything in it; absent is fine."""
    with saying(f"remove {path}"):
        if is_remote(path):
            gfile = _gfile()
            if gfile.exists(path):
                (gfile.rmtree if gfile.isdir(path) else gfile.remove)(path)
        elif Path(path).is_dir() and not Path(path).is_symlink():
            shutil.rmtree(path)
        else:
            Path(path).unlink(missing_ok=True)


def make_folder(folder: str) -> None:
    """Make a folder, so that a place that cannot be written is found before the training and not after it."""
    with saying(f"make the folder {folder}"):
        if is_remote(folder):
            find_bucket(folder)  # makedirs would ask without end for one that is gone (TensorFlow 2.21)
            _gfile().makedirs(folder)
        else:
            Path(folder).mkdir(parents=True, exist_ok=True)


def find_bucket(place: str) -> None:
    """Ask for the bucket of a place on gs://; raises TrainerError where it is gone or closed.

    Not by `isdir`, which answers no where the truth is "you may not know".
    """
    bucket = "/".join(place.split("/")[:3])
    if bucket.startswith("gs://"):
        with saying(f"find {bucket}"):
            _gfile().stat(bucket)


def remove_stale_partials(folder: str, pattern: str) -> None:
    """Remove what dead processes left half-written: `<what fits the pattern>.partial-<pid>`.

    Our own pid can only be a namesake before us: in a container every trainer is process 1.
    """
    if is_remote(folder):
        return
    for name in names_in(folder):
        match = re.fullmatch(rf"(?:{pattern})\.partial-([0-9]+)", name)
        if match and not _is_another_alive(int(match[1])):
            remove(join(folder, name))


def sync_folder(folder: Path) -> None:
    """Make the names in a local folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Make a local folder and all files in it survive a loss of power."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())


def digest(path: Path) -> str:
    """Give a local file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def saying(what: str) -> Iterator[None]:
    """Turn the errors of disks and of gs:// into one sentence: `Could not <what>: <reason>.`"""
    try:
        yield
    except OSError as error:
        kind = MissingError if isinstance(error, FileNotFoundError) else TrainerError
        raise kind(f"Could not {what}: {error.strerror or error}.") from error
    except _remote_errors() as error:
        kind = MissingError if getattr(error, "error_code", None) == NOT_FOUND else TrainerError
        raise kind(f"Could not {what}: {_remote_reason(error)}.") from error


def _write_local(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write_remote(path: str, content: bytes) -> None:
    gfile = _gfile()
    if not path.startswith("gs://"):  # whose objects need no folders, see `make_folder`
        gfile.makedirs(path.rpartition("/")[0])
    with gfile.GFile(path, "wb") as file:
        file.write(content)


def _remote_names(folder: str) -> list[str]:
    """List a folder of gs://; asks with stat, as `isdir` says no where the truth is "you may not know"."""
    gfile = _gfile()
    try:
        gfile.stat(folder)
    except _remote_errors() as error:
        if getattr(error, "error_code", None) != NOT_FOUND:
            raise
        return gfile.glob(join(folder, "*"))  # none; raises where it is the bucket that is not there
    return gfile.listdir(folder)


def _gfile() -> ModuleType:
    """TensorFlow's file functions, loaded where a path has a scheme."""
    load_tensorflow()
    import tensorflow as tf

    return tf.io.gfile


def _is_another_alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remote_reason(error: BaseException) -> str:
    """Give what went wrong on gs://; where Google answered with a page of JSON, the sentence in it."""
    text = re.sub(r" with body '.*", "", str(error).splitlines()[0])
    said = re.search(r'"message": ?"([^"]+)"', str(error))
    return f"{text}. Google says: {said[1]}".rstrip(".") if said else text.rstrip(".")


def _remote_errors() -> tuple[type[BaseException], ...]:
    """TensorFlow's own error class, if TensorFlow is loaded at all: nothing else can raise it."""
    loaded = sys.modules.get("tensorflow")
    return (loaded.errors.OpError,) if loaded else ()
