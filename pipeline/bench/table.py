"""The table of a benchmark: a row for each contestant, medians of its runs, and how many times ours that is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

HEAD = ("recipe", "right of the test images", "trained for", "runs", "wall s", "CPU-s", "peak MB",
        "wall, times ours", "CPU, times ours")  # fmt: skip

MISSING = "not measured: "


@dataclass(frozen=True)
class Run:
    """One run: accuracy (0 to 1), how many steps or epochs it trained, seconds of wall and of processor time, MB.

    `elsewhere` is the share of the processors (0 to 1) that other programs had meanwhile.
    """

    accuracy: float
    trained: int
    unit: str
    wall_s: float
    cpu_s: float
    peak_mb: float
    elsewhere: float

    def __str__(self) -> str:
        took = f"{self.wall_s:.1f} s, {self.cpu_s:.1f} CPU-s, {self.peak_mb:.0f} MB"
        others = f"others had {self.elsewhere:.0%} of the processors"
        return f"{self.accuracy:.2%} after {self.trained:,} {self.unit}, {took}; {others}"


@dataclass(frozen=True)
class Row:
    """A contestant's cells as they are printed, without the ratios: those follow from them."""

    recipe: str
    accuracy: str
    trained: str
    runs: str
    wall_s: str
    cpu_s: str
    peak_mb: str


def row(recipe: str, runs: Sequence[Run], missing: str = "") -> Row:
    """The row of a contestant's runs, or of one that has none, with the reason."""
    if not runs:
        return Row(recipe, MISSING + missing.replace("|", "/").replace("\n", " "), "–", "0", "–", "–", "–")
    accuracy, trained = [100 * one.accuracy for one in runs], [one.trained for one in runs]
    return Row(
        recipe,
        f"{spread(accuracy, '.2f')} %",
        f"{spread(trained, ',d')} {runs[0].unit if max(trained) > 1 else runs[0].unit.removesuffix('s')}",
        str(len(runs)),
        f"{median(one.wall_s for one in runs):.1f}",
        f"{median(one.cpu_s for one in runs):.1f}",
        f"{median(one.peak_mb for one in runs):.0f}",
    )


def spread(values: Sequence[float], form: str) -> str:
    """The lowest and the highest of the values, or the one that they all are."""
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low}–{high}"


def ratios(one: Row, ours: Row) -> tuple[str, str]:
    """How many times ours a row's wall and processor time are, from the figures as they are shown."""
    return times(one.wall_s, ours.wall_s), times(one.cpu_s, ours.cpu_s)


def times(figure: str, ours: str) -> str:
    return "–" if "–" in (figure, ours) else f"{float(figure) / float(ours):.1f}"


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The heading and every row with its ratios; the first row is ours."""
    return [HEAD, *((*vars(one).values(), *ratios(one, rows[0])) for one in rows)]


def markdown(lines: Iterable[Sequence[str]], words: int = 3) -> str:
    """A table in Markdown; the first line is its heading, the first columns hold words, the others figures."""
    head, *rest = lines
    rule = ["---" if number < words else "---:" for number in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rest)) + "\n"


def parsed(text: str) -> list[Row]:
    """The rows of a table that `markdown` has written."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [Row(*line[:-2]) for line in lines if len(line) == len(HEAD) and line[0] not in (HEAD[0], "---")]
