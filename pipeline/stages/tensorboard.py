"""TensorBoard: the curves of every run in the bucket."""

from __future__ import annotations

from functools import partial

from pipeline import clusters
from pipeline.commands import Probe, Result, Steps
from pipeline.settings import Settings
from pipeline.stages import brought_up


def up(settings: Settings) -> Steps:
    yield from brought_up(settings, "tensorboard")
    look = partial(clusters.of(settings).address, settings, "tensorboard", "http")
    yield Result(f"http://{(yield Probe('the address', look, '<address>'))}")
