"""Serve: TensorFlow Serving on the newest version, and a Service in front of it."""

from __future__ import annotations

from functools import partial

from pipeline import client, clusters, versions
from pipeline.commands import Probe, Result, Steps, Watch
from pipeline.errors import PipelineError
from pipeline.settings import Settings
from pipeline.stages import brought_up


def up(settings: Settings) -> Steps:
    tag = yield Probe("which version is the newest", partial(newest, settings), "<tag>")
    yield from brought_up(settings, "serving", "service")
    service, cluster = f"{settings.serving.model_name}-service", clusters.of(settings)
    grpc = yield Probe("the gRPC address", partial(cluster.address, settings, service, "grpc-tf-serving"), "<gRPC>")
    rest = yield Probe("the REST address", partial(cluster.address, settings, service, "http-tf-serving"), "<REST>")
    name = settings.serving.model_name
    yield Watch(f"until version {tag} answers", partial(client.until_served, rest, name, tag))
    yield Result(f"version {tag} of {name} at {grpc} (gRPC) and http://{rest}/v1/models/{name}")


def newest(settings: Settings) -> str:
    version = versions.newest(settings)
    if version is None:
        raise PipelineError(f"no version is in {settings.bucket}/export yet: `invoke train` makes one")
    return version.tag
