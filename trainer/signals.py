"""SIGINT and SIGTERM: at once where nothing can be lost, else after the step and its checkpoint."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """A signal ended the run; the exit code is 128 + its number. No library may catch it, so no Exception."""

    def __init__(self, number: int, message: str = "") -> None:
        super().__init__(message)
        self.number, self.code = number, 128 + number
        self.name = signal.Signals(number).name


class Signals:
    """Turns the first of the two signals into Interrupted; inside `held()` it is only noted.

    A second one changes nothing: the run is ending already, and what it still does is to end in good order.
    """

    def __init__(self) -> None:
        self.noted: int | None = None
        self._holding = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._arrived)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Note signals instead of raising; whoever is inside asks `is_noted()` and ends in good order."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False

    def is_noted(self) -> bool:
        """Tell whether a signal arrived."""
        return self.noted is not None

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        first, self.noted = self.noted is None, self.noted or number
        if first and not self._holding:
            raise Interrupted(number)
