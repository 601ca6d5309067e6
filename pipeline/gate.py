"""The gate: whether a version is good enough to be served, and which figure says that it is not."""

from __future__ import annotations

from pipeline.settings import Settings
from pipeline.versions import Version

ROUNDING = 1e-9
"""Accuracies are shares of a few thousand images: a difference below this is none."""


def misses(settings: Settings, version: Version, stable: Version | None) -> str:
    """Which figure a version misses and by how much, in half a sentence; empty for one that may become stable.

    Two accuracies are compared only where both are of the same data set.
    """
    limits, reached = settings.serving.gate, accuracy(version)
    if reached < limits.min_accuracy - ROUNDING:
        short = limits.min_accuracy - reached
        return f"its test accuracy {reached:.4f} is {short:.4f} below serving.gate.min_accuracy {limits.min_accuracy:g}"
    if stable is None or stable.tag == version.tag:
        return ""
    data, theirs = version.card["dataset"], stable.card["dataset"]
    if data["stand_in"] and not theirs["stand_in"]:
        return f"it was trained on the stand-in data ({data['name']}), and stable {stable.tag} on {theirs['name']}"
    drop = accuracy(stable) - reached
    if data["name"] == theirs["name"] and drop > limits.max_drop + ROUNDING:
        return (
            f"its test accuracy {reached:.4f} is {drop:.4f} below that of stable {stable.tag}, {accuracy(stable):.4f}, "
            f"and serving.gate.max_drop allows {limits.max_drop:g}"
        )
    return ""


def accuracy(version: Version) -> float:
    """The share of the whole test set that the version got right, from its card."""
    return float(version.card["metrics"]["test_accuracy"])
