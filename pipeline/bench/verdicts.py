"""What our server is asked to reach beside the others, and whether the figures of a table say that it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.bench.figures import Row
from pipeline.bench.servers import ECHO, OURS, PEERS, REST

HEAD = ("asked of ours", "measured", "holds")

SHARE = 0.7
"""Of the echo's answers a second at 32 clients."""

TIMES = {"KServe": 1.8, "MLServer": 3.0, "LitServe": 3.0, "BentoML": 3.0}
"""Times a peer's answers a second, at 8 clients and at 32."""

AHEAD = {
    "cold_s": "cold start s", "p50_ms": "p50 ms, 1 client", "p99_ms": "p99 ms, 1 client", "mb": "MB",
    "cpu_ms": "CPU-ms an answer",
}  # fmt: skip
"""Figures that are to be smaller than any peer's."""

Verdict = tuple[str, str, str]


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """A line for each thing asked for, from the figures as they are shown; `–` where one was not measured.

    Like is compared with like: the echo with ours over gRPC, the peers, which take JSON, with ours over REST.
    """
    found = {one.server: one for one in rows}
    grpc, ours, echo = found[OURS], found[REST], found[ECHO]
    floor = verdict(f"answers/s ≥ {SHARE:g} × echo, 32 clients", ratios(grpc, echo, ("rate_32",)), SHARE)
    peers = [found[one.name] for one in PEERS if one.name in found]
    times = [faster(ours, found, name, least) for name, least in TIMES.items()]
    return [floor, *times, *(ahead(ours, peers, figure, title) for figure, title in AHEAD.items())]


def faster(ours: Row, found: Mapping[str, Row], peer: str, least: float) -> Verdict:
    """Whether ours gives so many times a peer's answers a second."""
    what = f"answers/s ≥ {least:g} × {peer}, 8, 32 clients"
    return verdict(what, ratios(ours, found[peer], ("rate_8", "rate_32")) if peer in found else [], least)


def ratios(ours: Row, other: Row, figures: Sequence[str]) -> list[float]:
    """How many times another's figures ours are."""
    return [float(getattr(ours, figure)) / float(getattr(other, figure)) for figure in figures]


def verdict(what: str, measured: Sequence[float], least: float) -> Verdict:
    """Whether all ratios are as large as asked for."""
    if not measured:
        return what, "–", "not measured"
    return what, " and ".join(f"{one:.2f}" for one in measured), yes(min(measured) >= least)


def ahead(ours: Row, peers: Sequence[Row], figure: str, title: str) -> Verdict:
    """Whether a figure of ours is smaller than every peer's."""
    what = f"{title} < any of these peers"
    if not peers:
        return what, "–", "not measured"
    best = min(peers, key=lambda one: float(getattr(one, figure)))
    mine, theirs = getattr(ours, figure), getattr(best, figure)
    return what, f"{mine}, the best of them {theirs} ({best.server})", yes(float(mine) < float(theirs))


def yes(holds: bool) -> str:
    return "yes" if holds else "**no**"
