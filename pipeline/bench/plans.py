"""What the load generator is told to do, and what it tells of a server afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What to start (argv, working folder, file for its output), how to ask it, with how many clients how long."""

    argv: Sequence[str]
    cwd: str
    log: str
    way: str
    port: int
    served: str
    phases: Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Phase:
    """What so many clients got: answers a second, milliseconds of half and of 99 % of them, CPU-ms an answer."""

    clients: int
    rate: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms: float
    driver_cpu_ms: float


@dataclass(frozen=True)
class Load:
    """A server's figures: seconds to the first right answer, phases, MB at the end of all its processes together.

    `elsewhere` is the share of this machine's processors (0 to 1) that other programs had meanwhile.
    """

    cold_s: float
    phases: list[Phase]
    mb: float
    elsewhere: float

    @classmethod
    def read(cls, told: dict[str, Any]) -> Load:
        """What `asdict` has made of one."""
        return cls(**{**told, "phases": [Phase(**one) for one in told["phases"]]})

    def at(self, clients: int) -> Phase:
        """The phase with so many clients."""
        return next(one for one in self.phases if one.clients == clients)

    def __str__(self) -> str:
        rates = ", ".join(f"{one.rate:.0f}/s at {one.clients}" for one in self.phases)
        return f"first answer after {self.cold_s:.2f} s, {rates}; others had {self.elsewhere:.0%} of the processors"
