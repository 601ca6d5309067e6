"""Serve: TensorFlow Serving on the newest version, and a Service in front of it."""

from __future__ import annotations

import time
from functools import partial

from pipeline import client, clusters, records, storage, versions
from pipeline.commands import Probe, Result, Steps, Together, Watch
from pipeline.errors import PipelineError, RunFailed
from pipeline.settings import Settings
from pipeline.stages import brought_up

PATIENCE = 60.0
"""Seconds for the server to take a version up: it looks every `serving.poll_seconds`, and a load takes a second."""


def up(settings: Settings) -> Steps:
    name = settings.serving.model_name
    yield from clusters.of(settings).guard(settings)
    look = partial(newest, settings)
    tag = yield Probe("which version is the newest", look, "<tag>", needs=("bucket", "version"))
    yield from brought_up(settings, "serving", "service")
    yield Watch(f"until version {tag} answers", partial(answers, settings, tag))
    grpc, rest = yield Together(tuple(place(settings, port) for port in ("grpc-tf-serving", "http-tf-serving")))
    yield Result(f"version {tag} of {name} at {grpc} (gRPC) and http://{rest}/v1/models/{name}")


def place(settings: Settings, port: str) -> Probe:
    """Asks for the Service's address by a port's name."""
    look = partial(clusters.of(settings).address, settings, f"{settings.serving.model_name}-service", port)
    return Probe(f"the {port} address", look, f"<{port}>", needs=("service",))


def newest(settings: Settings) -> str:
    version = versions.newest(settings)
    if version is None:
        raise PipelineError(f"no version is in {settings.bucket}/export yet: `invoke train` makes one")
    return version.tag


def answers(settings: Settings, tag: str) -> str:
    """Wait until the server has the version, by REST; then ask its gRPC health, and for one prediction.

    Raises RunFailed where the server refuses the version, is not healthy, or another version answers.
    """
    cluster, name = clusters.of(settings), settings.serving.model_name
    service, limit = f"{name}-service", PATIENCE + 2 * settings.serving.poll_seconds
    with cluster.reach(settings, service, "http-tf-serving") as rest:
        client.until_served(rest.address, name, tag, limit)
    packed = storage.of(settings).read_bytes(f"export/{tag}/assets.extra/test_images.zip", records.PACKED)
    with cluster.reach(settings, service, "grpc-tf-serving") as grpc:
        client.healthy(grpc.address)
        if packed is None:
            return tag
        answer = until(grpc.address, name, client.images(packed, 1)[0][0], int(tag))
    if answer.version != int(tag):
        raise RunFailed(f"version {answer.version} answers, not {tag}: see `invoke logs serving`")
    return tag


def until(address: str, name: str, image: bytes, tag: int) -> client.Answers:
    """Predict until the version answers; several replicas do not take it up in the same second."""
    deadline = time.monotonic() + PATIENCE
    while (answer := client.predict(address, name, [image])).version != tag and time.monotonic() < deadline:
        time.sleep(0.5)
    return answer
