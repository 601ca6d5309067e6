"""Fake clouds for the tests of this folder: a checkout for each cloud."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cloud import Cloud
from conftest import copied
from lent import end_all
from tests.gke.flows import Flow, Run, flowing

REAL = pytest.mark.skipif(
    not all(map(shutil.which, ("gcloud", "kubectl", "gke-gcloud-auth-plugin"))),
    reason="gcloud, kubectl and gke-gcloud-auth-plugin are not installed",
)
"""For tests that the real clients take part in."""


@pytest.fixture(scope="session", autouse=True)
def no_server_is_left() -> Iterator[None]:
    yield
    end_all()


@pytest.fixture
def new_cloud(tmp_path: Path, version: Path) -> Iterator[Callable[..., Cloud]]:
    """Makes fake clouds, each empty and with a checkout of its own; all end with the test."""
    made: list[Cloud] = []

    def new(real: bool = False) -> Cloud:
        folder = tmp_path / f"cloud{len(made)}"
        made.append(Cloud(copied(folder / "checkout"), folder, version, real))
        return made[-1]

    yield new
    for one in made:
        one.close()


@pytest.fixture
def cloud(new_cloud: Callable[..., Cloud]) -> Cloud:
    """A fake cloud that stand-ins of gcloud, kubectl and docker reach: quick."""
    return new_cloud()


@pytest.fixture
def real_cloud(new_cloud: Callable[..., Cloud]) -> Cloud:
    """A fake cloud that the real gcloud and kubectl of this machine reach."""
    return new_cloud(real=True)


@pytest.fixture(scope="module")
def new_flow(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Callable[[str], Flow]]:
    """Makes environments, each in a cloud of its own; all end with the module."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(flowing(tmp_path_factory.mktemp(name), version))


@pytest.fixture(scope="module")
def undisturbed(new_flow: Callable[[str], Flow]) -> Run:
    return new_flow("undisturbed").run("all", "all")
