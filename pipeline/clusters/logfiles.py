"""A log file on this machine: its end, and with patience what it gains."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.trainerlog import readable

PAUSE = 0.2
"""Seconds between two looks at a log that is followed."""


def read(path: Path, lines: int, follow: bool) -> Iterator[str]:
    """The last lines of a log as people read them; with `follow` then each new one, for ever.

    A log that was rotated away is left for the new one of its name.
    """
    file = path.open("rb")
    try:
        *whole, rest = file.read().split(b"\n")
        yield from told([*whole, rest][-lines:] if rest and not follow else whole[-lines:])
        while follow:
            *whole, rest = (rest + file.read()).split(b"\n")
            yield from told(whole)
            if not whole:
                time.sleep(PAUSE)
                if replaced(path, file):
                    file.close()
                    file = path.open("rb")
    finally:
        file.close()


def told(lines: list[bytes]) -> list[str]:
    return [words for line in lines for words in readable(line.decode(errors="replace"))]


def replaced(path: Path, file: BinaryIO) -> bool:
    """Whether another file has the log's name by now; between two of them there is none for a moment."""
    try:
        return path.stat().st_ino != os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
