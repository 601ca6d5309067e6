"""What a training came to, as a notebook shows it: accuracy, curves and pictures, without a plotting library."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainer.picture import Picture

WIDTH, HEIGHT, EDGE = 340, 180, 60
SHOWN = ("loss", "accuracy", "learning_rate")

Points = Sequence[tuple[int, float]]


@dataclass(frozen=True, repr=False)
class Report:
    """A version's folder, its model card, curves as points (step, value) by name, pictures by name."""

    path: str
    card: dict[str, Any]
    curves: dict[str, list[tuple[int, float]]]
    pictures: dict[str, Picture]

    def __repr__(self) -> str:
        metrics, data = self.card["metrics"], self.card["dataset"]
        what = f"{data['name']} test images" + (": STAND-IN DATA, not MNIST" if data["stand_in"] else "")
        return f"{self.path}: {metrics['test_accuracy']:.2%} of {metrics['test_examples']:,} {what}"

    def _repr_html_(self) -> str:
        """What Jupyter shows when a cell ends in a report."""
        charts = [chart(name, self.curves[name]) for name in SHOWN if self.curves.get(name)]
        images = [embedded(name, picture) for name, picture in self.pictures.items()]
        return f"<p><b>{html.escape(repr(self))}</b></p>" + "".join(charts + images)


def chart(name: str, points: Points) -> str:
    """Draw one curve as SVG, the values smoothed over a twentieth of the points; the ends of both axes are labelled."""
    drawn = smoothed(points, max(1, len(points) // 20))
    steps, values = [step for step, _ in drawn], [value for _, value in drawn]
    low, high = min(values), max(values)
    across, up = max(1, steps[-1] - steps[0]), (high - low) or 1.0
    places = " ".join(
        f"{EDGE + (step - steps[0]) / across * WIDTH:.1f},{HEIGHT - (value - low) / up * (HEIGHT - 30):.1f}"
        for step, value in drawn
    )
    labels = [
        label(EDGE + WIDTH / 2, 16, "middle", name.replace("_", " ")),
        label(EDGE - 4, 34, "end", f"{high:.3g}"), label(EDGE - 4, HEIGHT, "end", f"{low:.3g}"),
        label(EDGE, HEIGHT + 16, "start", f"step {steps[0]}"), label(EDGE + WIDTH, HEIGHT + 16, "end", str(steps[-1])),
    ]  # fmt: skip
    frame = f'<path d="M{EDGE},30 V{HEIGHT} H{EDGE + WIDTH}" fill="none" stroke="#8b949e"/>'
    line = f'<polyline points="{places}" fill="none" stroke="#0b5894" stroke-width="1.5"/>'
    size = f'width="{WIDTH + EDGE + 12}" height="{HEIGHT + 24}" role="img" aria-label="{html.escape(name)}"'
    return f'<svg {size} style="background: white">{frame}{line}{"".join(labels)}</svg>'


def smoothed(points: Points, window: int) -> list[tuple[int, float]]:
    """Give each point the mean of the up to `window` values that end with its own."""
    values = [value for _, value in points]
    spans = [values[max(0, end - window) : end] for end in range(1, len(values) + 1)]
    return [(step, sum(span) / len(span)) for (step, _), span in zip(points, spans, strict=True)]


def label(x: float, y: float, anchor: str, text: str) -> str:
    style = 'font-family="sans-serif" font-size="11" fill="#1f2328"'
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" {style}>{html.escape(text)}</text>'


def embedded(name: str, picture: Picture) -> str:
    """Give a picture as an HTML element that needs no other file."""
    data, title = base64.b64encode(picture.png).decode(), html.escape(name.replace("_", " "))
    size = f'width="{picture.width}" height="{picture.height}"'
    image = f'<img alt="{title}" {size} src="data:image/png;base64,{data}">'
    return f"<figure><figcaption>{title}</figcaption>{image}</figure>"
