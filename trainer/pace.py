"""How fast a training is of late, with its checkpoints, so that the time that is left can be foretold."""

from __future__ import annotations

from collections import deque

WINDOW = 10.0
"""Seconds that count: long enough for several checkpoints, short enough to follow a machine that gets busy."""


class Pace:
    """Marks of when which step was reached."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()
        self._warm = False

    def mark(self, now: float, step: int) -> None:
        """Note that `step` was reached at `now` seconds; the first call, which traces, soon counts no more."""
        self._marks.append((now, step))
        if len(self._marks) == 3 and not self._warm:
            self._marks.popleft()
            self._warm = True
        while len(self._marks) > 2 and self._marks[0][0] < now - WINDOW:
            self._marks.popleft()

    def rate(self) -> float:
        """Give steps a second between the first and the last mark that count; there must be two."""
        (began, first), (now, last) = self._marks[0], self._marks[-1]
        return (last - first) / max(now - began, 1e-9)
