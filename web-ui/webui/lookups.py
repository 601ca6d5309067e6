"""Looks names up: once for all who ask at the same time, within a time limit, and keeps the answers for a while."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple

Resolve = Callable[[str], list[str]]
"""From a name to the IP addresses that it leads to, as text; OSError when it leads nowhere."""

_ADDRESSES = 16  # of one name that count: far more than gRPC tries within a deadline


class Busy(OSError):
    """As many names are being looked up as may be at once."""


class Kept(NamedTuple):
    """An answer, and when it came."""

    addresses: tuple[str, ...]
    at: float


def system(name: str) -> list[str]:
    """The addresses that this machine's resolver gives; raises OSError."""
    # As bytes: Python would apply IDNA to text, and read_host let only ASCII pass.
    found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Lookups:
    """Names' addresses, from any thread."""

    def __init__(
        self,
        resolve: Resolve = system,
        keep_s: float = 10.0,
        spare_s: float = 60.0,
        at_once: int = 8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`keep_s`: seconds that an answer counts. `spare_s`: seconds that it does while no new one can be had, so
        that a cluster's DNS may restart. `at_once`: names looked up at a time. `clock`: seconds, never back."""
        self._resolve, self._clock = resolve, clock
        self._keep_s, self._spare_s, self._at_once = keep_s, spare_s, at_once
        self._kept: dict[str, Kept] = {}
        self._running: dict[str, Future[tuple[str, ...]]] = {}
        self._lock = threading.Lock()

    def addresses(self, name: str, timeout_s: float) -> tuple[str, ...]:
        """Where `name` leads to. Raises TimeoutError after `timeout_s` seconds, Busy, or the resolver's OSError."""
        with self._lock:
            kept = self._kept.get(name)
        if kept and self._clock() - kept.at < self._keep_s:
            return kept.addresses
        try:
            return self._lookup(name).result(timeout_s)
        except OSError:  # TimeoutError and Busy are of this kind
            if kept and self._clock() - kept.at < self._spare_s:
                return kept.addresses
            raise

    def _lookup(self, name: str) -> Future[tuple[str, ...]]:
        """The look-up under way for `name`, or a new one. Raises Busy."""
        with self._lock:
            if name not in self._running:
                if len(self._running) >= self._at_once:
                    raise Busy(f"{self._at_once} names are being looked up already")
                self._running[name] = Future()
                # Not an executor's thread: Python waits for those at its end, and nothing ends a getaddrinfo.
                threading.Thread(target=self._run, args=(name, self._running[name]), daemon=True).start()
            return self._running[name]

    def _run(self, name: str, future: Future[tuple[str, ...]]) -> None:
        try:
            addresses = tuple(self._resolve(name)[:_ADDRESSES])
        except (OSError, ValueError) as error:  # ValueError: a name that the resolver cannot even ask for
            with self._lock:
                del self._running[name]
            future.set_exception(error if isinstance(error, OSError) else OSError(str(error)))
            return
        with self._lock:
            del self._running[name]
            self._kept.pop(name, None)
            self._kept[name] = Kept(addresses, self._clock())
            while len(self._kept) > 8 * self._at_once:
                del self._kept[next(iter(self._kept))]  # the oldest answer
        future.set_result(addresses)
