"""The whole flow over SSH: a real sshd on loopback, where gcloud, kubectl and docker are, and a checkout elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud import Cloud
from conftest import free_ports
from fakes.sshd import MISSING, PROGRAM, Sshd


@pytest.fixture
def afar(new_cloud: Callable[..., Cloud], tmp_path: Path) -> Iterator[tuple[Cloud, dict[str, str], Sshd]]:
    """A cloud that only the host reaches: there are the tools and the login; here is neither."""
    if PROGRAM is None:
        pytest.skip(MISSING)
    cloud = new_cloud()
    there = cloud.world.env()
    variables = {name: there[name] for name in ("PATH", "CLOUDSDK_CONFIG")}
    with contextlib.closing(Sshd(tmp_path / "sshd", variables)) as server:
        link = server.remote_home / ".config" / "gcloud"
        link.parent.mkdir(parents=True)
        link.symlink_to(there["CLOUDSDK_CONFIG"])
        yield cloud, {"HOME": str(server.home), "PATH": os.environ["PATH"], "CLOUDSDK_CONFIG": "/nowhere"}, server


def test_everything_goes_up_and_down_over_a_host(afar: tuple[Cloud, dict[str, str], Sshd]) -> None:
    cloud, here, server = afar
    empty = cloud.world.summary()
    host = ("--set", f"host={server.host}")
    first = cloud.invoke(*host, "all", **here)
    assert "web-ui.kubeflow:80 inside the cluster" in first
    cloud.state.writes.clear()
    cloud.invoke(*host, "all", **here)
    assert cloud.state.writes == []
    assert "AVAILABLE" in cloud.invoke(*host, "models", **here)
    assert "3 of 3 right" in cloud.invoke(*host, "predict", "--count=3", **here)
    said = cloud.invoke(*host, "clean", "--yes", **here)
    assert "nothing is left" in said
    assert [line for line in cloud.world.summary() if line not in empty] == []
    assert list((server.remote_home / ".kubeflow-pipeline").iterdir()) == []
    assert not cloud.state.unknown


def test_a_page_is_reached_over_the_host_until_ctrl_c(afar: tuple[Cloud, dict[str, str], Sshd]) -> None:
    cloud, here, server = afar
    host = ("--set", f"host={server.host}")
    cloud.invoke(*host, "all", **here)
    (port,) = free_ports(1)
    cloud.world.cluster("mnist-staging").backends["kubeflow", "web-ui", 80] = cloud.rest  # any HTTP server will do
    opened = subprocess.Popen(
        cloud.argv(*host, "open", f"--port={port}", "--no-browser"), cwd=cloud.checkout.root,
        env=cloud.environ(**here), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert opened.stdout is not None
        assert opened.stdout.readline() == f"http://127.0.0.1:{port}\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/mnist", timeout=10) as reply:
            assert json.load(reply)["model_version_status"]
        opened.send_signal(signal.SIGINT)
        said, _ = opened.communicate(timeout=30)
    finally:
        opened.kill()
    assert opened.returncode == 0, said
    assert "closed" in said
    assert [one for one in server.sessions() if "port-forward" in " ".join(one.cmdline())] == []
