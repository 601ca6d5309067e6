"""Remembers what was read beside the versions, so that a page seldom reads, and never again and again in vain."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Memory(Generic[T]):
    """By a key: what was found, for `keep_s` seconds; that nothing was found, for `rest_s`. Holds `most` keys."""

    def __init__(self, most: int, rest_s: float, keep_s: float = math.inf) -> None:
        self._most, self._rest_s, self._keep_s = most, rest_s, keep_s
        self._kept: dict[str, tuple[float, T | None]] = {}

    def get(self, key: str, read: Callable[[], T | None]) -> T | None:
        """What `read` gave for the key, a moment ago or now. From any thread; two may read at once."""
        until, value = self._kept.get(key, (-math.inf, None))
        if time.monotonic() < until:
            return value
        value = read()
        if key not in self._kept and len(self._kept) >= self._most:
            self._kept.clear()
        self._kept[key] = time.monotonic() + (self._rest_s if value is None else self._keep_s), value
        return value
