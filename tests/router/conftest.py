"""A router in front of two servers: ours, and nginx where the machine has it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.config import load
from pipeline.settings import ROOT
from ports import row_of_ports  # type: ignore[import-not-found]
from routers import Router, Upstream, nginx, until_up, written  # type: ignore[import-not-found]


@contextlib.contextmanager
def started(kind: str, folder: Path) -> Iterator[Router]:
    """A router that gives the canary 10 percent."""
    directives = "daemon off;" if os.getuid() else "daemon off; user root;"
    program = [nginx()] if kind == "nginx" else [sys.executable, "-m", "serving.router"]
    *first, grpc_port, rest_port = row_of_ports(7)
    sets = (
        f"serving.canary.first_port={first[0]}", f"serving.grpc_port={grpc_port}", f"serving.rest_port={rest_port}"
    )  # fmt: skip
    settings, log = load("local", sets).settings, folder / "log"
    file = written(settings, folder, 10)
    upstreams = {"stable": Upstream("stable", *first[:2]), "canary": Upstream("canary", *first[2:4])}
    with log.open("wb") as out:
        argv = [*program, "-c", str(file), "-g", directives]
        process = subprocess.Popen(argv, cwd=ROOT, stdout=out, stderr=out)
    try:
        until_up(f"http://127.0.0.1:{first[4]}/healthz", process, log)
        yield Router(settings, file, process, upstreams)
    finally:
        process.send_signal(signal.SIGQUIT)
        code = process.wait(20)
        for one in upstreams.values():
            one.stop()
    assert code == 0, log.read_text()


@pytest.fixture(scope="module", params=["ours", "nginx"])
def router(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """One that all tests of a module share."""
    with started(request.param, tmp_path_factory.mktemp(request.param)) as one:
        yield one


@pytest.fixture(params=["ours", "nginx"])
def mortal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Router]:
    """One of a test's own, whose servers it may stop."""
    with started(request.param, tmp_path) as one:
        yield one


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Router]:
    """One of a test's own that is ours, whose file it may change."""
    with started("ours", tmp_path) as one:
        yield one
