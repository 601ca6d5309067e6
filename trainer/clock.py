"""How long the parts of a run take, for the model card."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Durations in seconds of wall time, by name."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.durations: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Record how long a part takes."""
        before = time.monotonic()
        yield
        self.durations[name] = time.monotonic() - before

    def total(self) -> float:
        """Give the seconds since the start of the run."""
        return time.monotonic() - self._started
