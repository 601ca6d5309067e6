"""The whole flow over SSH: a real sshd on loopback, where gcloud, kubectl and docker are, and a checkout elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloud import Cloud
from conftest import free_ports
from fakes.sshd import MISSING, PROGRAM, Sshd
from tests.gke.flows import flowing


@dataclass(frozen=True)
class Afar:
    """A cloud that only the host reaches: there are the tools and the login; here is neither. Everything is up."""

    cloud: Cloud
    server: Sshd
    empty: list[str]
    first: list[str]
    """What was said while it came up."""

    @property
    def host(self) -> tuple[str, str]:
        return "--set", f"host={self.server.host}"

    @property
    def here(self) -> dict[str, str]:
        return {"HOME": str(self.server.home), "PATH": os.environ["PATH"], "CLOUDSDK_CONFIG": "/nowhere"}

    def invoke(self, *words: str) -> str:
        return self.cloud.invoke(*self.host, *words, **self.here)


@pytest.fixture(scope="module")
def afar(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Afar]:
    if PROGRAM is None:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("afar")
    with flowing(folder / "cloud", version) as flow:
        there = flow.cloud.world.env()
        variables = {name: there[name] for name in ("PATH", "CLOUDSDK_CONFIG")}
        with contextlib.closing(Sshd(folder / "sshd", variables)) as server:
            link = server.remote_home / ".config" / "gcloud"
            link.parent.mkdir(parents=True)
            link.symlink_to(there["CLOUDSDK_CONFIG"])
            made = Afar(flow.cloud, server, flow.empty, [])
            made.first.append(made.invoke("all"))
            yield made


def test_a_page_is_reached_over_the_host_until_ctrl_c(afar: Afar) -> None:
    cloud = afar.cloud
    (port,) = free_ports(1)
    cloud.world.cluster("mnist-staging").backends["kubeflow", "web-ui", 80] = cloud.rest  # any HTTP server will do
    opened = subprocess.Popen(
        cloud.argv(*afar.host, "open", f"--port={port}", "--no-browser"), cwd=cloud.checkout.root,
        env=cloud.environ(**afar.here), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
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
    assert [one for one in afar.server.sessions() if "port-forward" in " ".join(one.cmdline())] == []


def test_everything_goes_up_and_down_over_a_host(afar: Afar) -> None:
    cloud = afar.cloud
    assert "web-ui.kubeflow:80 inside the cluster" in afar.first[0]
    cloud.state.writes.clear()
    afar.invoke("all")
    assert cloud.state.writes == []
    assert "AVAILABLE" in afar.invoke("models")
    assert "3 of 3 right" in afar.invoke("predict", "--count=3")
    assert "nothing is left" in afar.invoke("clean", "--yes")
    assert [line for line in cloud.world.summary() if line not in afar.empty] == []
    assert list((afar.server.remote_home / ".kubeflow-pipeline").iterdir()) == []
    assert not cloud.state.unknown
