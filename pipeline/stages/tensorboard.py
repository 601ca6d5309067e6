"""TensorBoard: the curves of every run in the bucket."""

from __future__ import annotations

from pipeline.commands import Steps
from pipeline.settings import Settings
from pipeline.stages import page_up


def up(settings: Settings) -> Steps:
    yield from page_up(settings, "tensorboard")
