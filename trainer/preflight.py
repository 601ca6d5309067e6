"""`python -m trainer.preflight PLACE`: can a workload here write to the bucket, read, list and delete?"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Timer

from trainer import files
from trainer.errors import TrainerError, UsageError
from trainer.log import say
from trainer.quiet import load_tensorflow

LIMIT = 120.0
"""Seconds for a step: TensorFlow tries ten times, and would go on for minutes where no network leads to gs://."""

OBJECTS = "roles/storage.objectUser"
BUCKET = "roles/storage.legacyBucketReader"
"""TensorFlow asks for the bucket itself (storage.buckets.get) before it writes to it."""

Step = tuple[str, str, Callable[[], object]]
"""What is tried, the role that permits it on gs://, and the attempt."""


def main(argv: Sequence[str], limit: float = LIMIT) -> int:
    """Try each step in turn and say how long it took; gives the exit code: 1 if one fails."""
    try:
        place = place_in(argv)
        if files.is_remote(place):
            load_tensorflow()  # now, so that the first step's time is its own
        for name, role, attempt in steps(place):
            started = time.monotonic()
            with ended_after(limit, f"preflight, {name}: no answer from {place} within {limit:.0f} s."):
                try:
                    attempt()
                except TrainerError as error:
                    raise TrainerError(f"preflight, {name}: {error}{remedy(error, role)}") from error
            say(f"{name}: {time.monotonic() - started:.2f} s")
    except TrainerError as error:
        print(error, file=sys.stderr, flush=True)
        return error.code
    return 0


@contextmanager
def ended_after(limit: float, sentence: str) -> Iterator[None]:
    """End the process with a sentence if the block takes too long: a signal could not reach into TensorFlow."""

    def end() -> None:
        os.write(2, f"{sentence}\n".encode())
        os._exit(1)

    timer = Timer(limit, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def place_in(argv: Sequence[str]) -> str:
    """Give the one argument."""
    if len(argv) != 1 or not argv[0] or argv[0].startswith("-"):
        raise UsageError("Give one place: python -m trainer.preflight gs://BUCKET[/PREFIX], or a folder.")
    return argv[0]


def steps(place: str) -> Iterator[Step]:
    """Everything that a training does to the bucket, on one small object of a name that nobody else has."""
    name = f"preflight-{uuid.uuid4().hex}"
    path, content = files.join(place, name), name.encode()
    yield "find", BUCKET, lambda: files.find_bucket(place)
    yield "write", OBJECTS, lambda: files.write(path, content)
    yield "read", OBJECTS, lambda: expect(files.read(path) == content, f"{path} reads back as something else.")
    yield "list", OBJECTS, lambda: expect(name in files.names_in(place), f"{path} was written and is not listed.")
    yield "delete", OBJECTS, lambda: files.remove(path)


def expect(holds: bool, otherwise: str) -> None:
    """Raise TrainerError unless it holds."""
    if not holds:
        raise TrainerError(otherwise)


def remedy(error: TrainerError, role: str) -> str:
    """Name the role to grant where Cloud Storage refused the account, which TensorFlow calls codes 7 and 16."""
    if getattr(error.__cause__, "error_code", None) not in (7, 16):
        return ""
    return f" The workload's account probably lacks {role} on the bucket."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
