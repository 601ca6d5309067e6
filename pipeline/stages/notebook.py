"""Notebook: a Jupyter server on the cluster, which a port-forward leads to."""

from __future__ import annotations

from pipeline.commands import Steps
from pipeline.errors import PipelineError
from pipeline.settings import Settings
from pipeline.stages import page_up


def up(settings: Settings) -> Steps:
    if settings.cluster.kind == "local":
        raise PipelineError(
            "the notebook server runs on a cluster: --env=staging; on this machine any Jupyter of yours can import "
            "trainer/ from this checkout"
        )
    yield from page_up(settings, "notebook")
