"""Which versions a model server has, and which of them answer: the server says so; remembered for a second."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol

from webui.servers import Server
from webui.serving_api import Version

_FRESH_S = 1.0
_MOST_KEPT = 64


class Knows(Protocol):
    """Whatever can be asked for versions: `client.Predictor`, or a test's own."""

    def versions(self, server: Server, model: str) -> tuple[Version, ...]:
        """The versions that `server` has or had; none where it does not say."""


@dataclass(frozen=True)
class Served:
    """One version: what it is called besides (stable, canary), its state, and the server that answers for it."""

    number: int
    state: str
    error: str
    role: str
    server: Server

    @property
    def answers(self) -> bool:
        """Whether the server would answer with this version."""
        return self.state == "AVAILABLE"


class Roster:
    """The versions of a model at a server. While a canary is on, a router stands at the usual address: it sends
    questions about versions to the stable server, so both servers are asked by their own addresses too."""

    def __init__(self, knows: Knows, usual: tuple[str, Server], tracks: tuple[tuple[str, Server], ...]) -> None:
        """`usual`: the configured model and server; `tracks`: a canary's two servers by their roles, stable first."""
        self._knows = knows
        self._usual = usual
        self._tracks = tracks
        self._kept: dict[tuple[str, Server], tuple[float, tuple[Version, ...]]] = {}
        self._lock = threading.Lock()

    def versions(self, model: str, server: Server) -> tuple[Served, ...]:
        """Every version, the highest first; none where the server does not say."""
        found = {one.number: _served(one, "", server) for one in self._ask(model, server)}
        if (model, server) == self._usual:
            tracks = [(role, other, self._ask(model, other)) for role, other in self._tracks]
            if all(versions for _, _, versions in tracks):  # one alone is no canary
                # The canary's server has the stable version too, which so has the last word.
                for role, other, versions in reversed(tracks):
                    found |= {one.number: _served(one, role, other) for one in versions if one.state == "AVAILABLE"}
        return tuple(sorted(found.values(), key=lambda one: one.number, reverse=True))

    def _ask(self, model: str, server: Server) -> tuple[Version, ...]:
        now = time.monotonic()
        when, versions = self._kept.get((model, server), (float("-inf"), ()))
        if now - when < _FRESH_S:
            return versions
        versions = self._knows.versions(server, model)
        with self._lock:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[model, server] = (time.monotonic(), versions)
        return versions


def _served(version: Version, role: str, server: Server) -> Served:
    return Served(version.number, version.state, version.error, role, server)
