"""The table of `invoke bench serve`: a row for each server, medians of its runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from statistics import median

from pipeline.bench.plans import Load
from pipeline.bench.table import MISSING

CLIENTS = (1, 8, 32)

HEAD = ("server", "over", "runs", "cold start s", "p50 ms, 1 client", "p99 ms, 1 client", "answers/s, 1 client",
        "answers/s, 8 clients", "answers/s, 32 clients", "MB", "CPU-ms an answer",
        "load generator's CPU-ms")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A server's cells as they are printed; the CPU-ms are those at 32 clients."""

    server: str
    over: str
    runs: str
    cold_s: str
    p50_ms: str
    p99_ms: str
    rate_1: str
    rate_8: str
    rate_32: str
    mb: str
    cpu_ms: str
    driver_ms: str


def row(server: str, over: str, runs: Sequence[Load], missing: str = "") -> Row:
    """The row of a server's runs, or of one that has none, with the reason."""
    if not runs:
        why = MISSING + missing.replace("|", "/").replace("\n", " ")
        return Row(f"{server}, {why}", over, "0", *["–"] * (len(fields(Row)) - 3))

    def middle(of: Callable[[Load], float], form: str) -> str:
        return format(median(of(one) for one in runs), form)

    return Row(
        server, over, str(len(runs)),
        middle(lambda one: one.cold_s, ".2f"),
        middle(lambda one: one.at(1).p50_ms, ".2f"),
        middle(lambda one: one.at(1).p99_ms, ".2f"),
        middle(lambda one: one.at(1).rate, ".0f"),
        middle(lambda one: one.at(8).rate, ".0f"),
        middle(lambda one: one.at(32).rate, ".0f"),
        middle(lambda one: one.mb, ".0f"),
        middle(lambda one: one.at(32).server_cpu_ms, ".2f"),
        middle(lambda one: one.at(32).driver_cpu_ms, ".2f"),
    )  # fmt: skip


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The heading and every row."""
    return [HEAD, *(tuple(vars(one).values()) for one in rows)]


def parsed(text: str) -> list[Row]:
    """The rows of such a table in Markdown."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [Row(*line) for line in lines if len(line) == len(HEAD) and line[0] not in (HEAD[0], "---")]
