"""One run at a time in an environment: the second is told who holds it, and a dead holder's lock is free."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import LOCKED, PipelineError


@contextlib.contextmanager
def hold(build: Path, task: str) -> Iterator[None]:
    """Hold the environment whose build folder this is; raises PipelineError (exit 4) while another does.

    The kernel frees the lock when its holder dies, however it dies; the note beside it only names the holder.
    """
    build.parent.mkdir(parents=True, exist_ok=True)
    path, note = build.with_suffix(".lock"), build.with_suffix(".holder.json")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise PipelineError(busy(build.name, note), LOCKED) from None
    try:
        with contextlib.suppress(OSError):  # on a full disk `clean` must still run; the note only names us
            note.write_text(json.dumps({"pid": os.getpid(), "task": task, "since": time.time()}))
        yield
    finally:
        note.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
        with contextlib.suppress(OSError):
            build.parent.rmdir()  # only when nothing else is in it


def busy(environment: str, note: Path) -> str:
    """The sentence for the one who came second."""
    try:
        holder = json.loads(note.read_text())
        who = f"process {holder['pid']} (invoke {holder['task']}), for {time.time() - holder['since']:.0f} s"
    except (OSError, ValueError, KeyError):
        who = "another process that has just started"
    return f"environment {environment} is in use by {who}: wait for it, or stop it, and run this again"
