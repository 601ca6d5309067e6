"""Waits until every server behind the Service has a version, and asks each which one answers."""

from __future__ import annotations

import time
from functools import partial

from pipeline import client, clusters
from pipeline.errors import RunFailed
from pipeline.records import PIXELS
from pipeline.served import STABLE
from pipeline.settings import Settings

PATIENCE = 120.0
"""Seconds for a server to follow, besides two looks at its files: a kubelet may take a minute to bring a new one."""

SLACK = 2.0
"""Seconds that a look at the files may itself take."""

PORTS = ("grpc-tf-serving", "http-tf-serving")
"""The Service's ports by their names: gRPC, and REST."""

BLANK = bytes(PIXELS)
"""An image to ask with where only the version of the answer matters."""


def patience(settings: Settings) -> float:
    return PATIENCE + 2 * settings.serving.poll_seconds


def loaded(settings: Settings, tag: str) -> None:
    """Wait until every server has loaded a version.

    Raises client.NotServed where one refuses it, or has not after a while.
    """
    clusters.of(settings).each(settings, service(settings), PORTS[1:], partial(loading, settings, tag))


def loading(settings: Settings, tag: str, rest: str) -> None:
    """One server: it loads the version; what it said of it earlier counts again after two looks at its files."""
    looks = 2 * settings.serving.poll_seconds + SLACK
    client.until_served(rest, settings.serving.model_name, tag, patience(settings), looks)


def answers(settings: Settings, tag: str, at: str = "", label: str = STABLE) -> None:
    """Wait until every server has loaded a version and it answers, without a version named and by its label.

    The servers are those behind the usual Service unless another is given.

    Raises client.NotServed as `loaded` does, RunFailed where another one goes on answering, or one is not healthy.
    """
    clusters.of(settings).each(settings, at or service(settings), PORTS, partial(answering, settings, tag, label=label))


def service(settings: Settings) -> str:
    return f"{settings.serving.model_name}-service"


def answering(settings: Settings, tag: str, grpc: str, rest: str, label: str = STABLE) -> None:
    """One server: healthy, and the version answers in both ways."""
    loading(settings, tag, rest)
    client.healthy(grpc)
    deadline = time.monotonic() + patience(settings)
    for named in ("", label):
        while (found := version(settings, grpc, named)) != tag:
            if time.monotonic() > deadline:
                asked = f"by the label {named}" if named else "without a version"
                raise RunFailed(f"asked {asked}, {found} answers at {grpc}, not {tag}: see `invoke logs serving`")
            time.sleep(0.1)


def version(settings: Settings, address: str, label: str) -> str:
    """The version that answers, or the server's words where it refuses."""
    try:
        return str(client.predict(address, settings.serving.model_name, [BLANK], label=label).version)
    except RunFailed as error:
        return f"nobody ({error.message})"
