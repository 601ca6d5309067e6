"""Files on this machine and on gs:// alike; what is written appears under its name only when it is whole."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.errors import TrainerError


def is_remote(path: str) -> bool:
    """Tell whether the path has a scheme (gs://, and ram:// in tests) and so goes through TensorFlow."""
    return "://" in path


def join(folder: str, *names: str) -> str:
    """Give the path of a file in a folder, local or remote."""
    return "/".join([folder.rstrip("/") or "/", *names])


def names_in(folder: str) -> list[str]:
    """List the names in a folder, sorted and without trailing slashes; an absent folder has none."""
    with saying(f"read the folder {folder}"):
        if not is_remote(folder):
            return sorted(os.listdir(folder)) if Path(folder).is_dir() else []
        gfile = _gfile()
        return sorted(name.rstrip("/") for name in gfile.listdir(folder)) if gfile.isdir(folder) else []


def read(path: str) -> bytes:
    """Give a file's bytes; raises FileNotFoundError where there is none."""
    if not is_remote(path):
        return Path(path).read_bytes()
    gfile = _gfile()
    if not gfile.exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    with saying(f"read {path}"), gfile.GFile(path, "rb") as file:
        return file.read()


def write(path: str, content: bytes) -> None:
    """Write a file that is there whole or not at all, also after a loss of power; makes its folder.

    A gs:// object appears when its upload is complete; a local file is written beside its place, synced and renamed.
    """
    with saying(f"write {path}"):
        if is_remote(path):
            _write_remote(path, content)
        else:
            _write_local(Path(path), content)


def remove(path: str) -> None:
    """Remove a file or a folder with everything in it; absent is fine."""
    if is_remote(path):
        gfile = _gfile()
        if gfile.isdir(path):
            gfile.rmtree(path)
        elif gfile.exists(path):
            gfile.remove(path)
    elif Path(path).is_dir():
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a local folder survive a loss of power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
        raise TrainerError(f"Could not {what}: {error.strerror or error}.") from error
    except _remote_errors() as error:
        raise TrainerError(f"Could not {what}: {str(error).splitlines()[0]}.") from error


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
    gfile.makedirs(path.rpartition("/")[0])
    with gfile.GFile(path, "wb") as file:
        file.write(content)


def _gfile():  # noqa: ANN202  # TensorFlow's module, imported where a path has a scheme
    import tensorflow as tf

    return tf.io.gfile


def _remote_errors() -> tuple[type[BaseException], ...]:
    """TensorFlow's own error class, if TensorFlow is loaded at all: nothing else can raise it."""
    import sys

    loaded = sys.modules.get("tensorflow")
    return (loaded.errors.OpError,) if loaded else ()
