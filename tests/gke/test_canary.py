"""A version on trial on a cluster: what is applied and in which order, and that nothing of it is left afterwards."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import free_ports, until_listening
from lent import ModelServer
from pipeline import comparison, views
from pipeline.files import write
from pipeline.settings import ROOT
from tests.gke.quick import Quick, Told, quick

STAGES = ("deploy", "build", "train", "serve")
NEWER = ("training.steps=90",)


class Behind:
    """What really runs in the pods of a trial: a model server, and the router on the cluster's own nginx.conf."""

    def __init__(self, there: Quick, folder: Path) -> None:
        self.there, self.file = there, folder / "nginx.conf"
        self.canary, (self.grpc, self.rest, self.status) = ModelServer.taken(), free_ports(3)
        self.canary.start(there.cloud.export)
        self.router: subprocess.Popen[bytes] | None = None
        usual, (cluster,) = there.cloud.server, (there.cluster,)
        pods = {"mnist-serving-canary": self.canary, "mnist-router": self, "mnist-serving": usual}
        cluster.backends.clear()
        for name, server in pods.items():  # the longer name first: pods are known by how they begin
            cluster.backends["kubeflow", name, 9000] = server.grpc
            cluster.backends["kubeflow", name, 8500] = server.rest
        cluster.store.listeners.append(self.noticed)

    def noticed(self, change: Any) -> None:
        """A pod has come: its server follows its ConfigMap."""
        name = change.found["metadata"]["name"]
        if change.kind.resource != "pods" or change.what == "DELETED":
            return
        if name.startswith("mnist-serving-canary-"):
            text = re.sub(r"gs://[^/]+/export", str(self.there.cloud.export), self.data("mnist-serving-canary"))
            self.there.cloud.kubelet.submit(self.canary.follow, text)
        elif name.startswith("mnist-router-"):
            self.route(self.data("mnist-router"))

    def data(self, name: str) -> str:
        """The one file that counts in a ConfigMap."""
        found = self.there.cluster.store.get(self.there.cluster.kind("configmaps"), "kubeflow", name)
        return str(next(text for key, text in found["data"].items() if key in ("models.config", "nginx.conf")))

    def route(self, text: str) -> None:
        """Have the router follow the file, with real ports in place of the cluster's; it listens afterwards."""
        usual = self.there.cloud.server
        for there, here in {
            "mnist-stable:9000": f"127.0.0.1:{usual.grpc}", "mnist-stable:8500": f"127.0.0.1:{usual.rest}",
            "mnist-canary:9000": f"127.0.0.1:{self.canary.grpc}", "mnist-canary:8500": f"127.0.0.1:{self.canary.rest}",
            "listen 9000": f"listen {self.grpc}", "listen 8500": f"listen {self.rest}",
            "listen 8081": f"listen {self.status}",
        }.items():  # fmt: skip
            assert there in text
            text = text.replace(there, here)
        write(self.file, text)
        if self.router is None:
            argv = [sys.executable, "-m", "serving.router", "-c", str(self.file)]
            self.router = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for port in (self.grpc, self.rest):  # as a readiness probe holds a pod back until then
                until_listening(port)

    def end(self) -> None:
        self.canary.give_back()
        if self.router:
            self.router.kill()
            self.router.wait()


class Life:
    """Runs of a trial, each kept by a name, with what was in the cluster then."""

    def __init__(self, there: Quick) -> None:
        self.there, self.runs, self.objects = there, dict[str, Told](), dict[str, set[str]]()

    def run(self, name: str, *words: str, **options: Any) -> None:
        self.runs[name] = self.there.up(*words, **options)
        kinds = ("deployments.apps", "services", "configmaps")
        found = [one for kind in kinds for one in self.there.cluster.of(kind, "kubeflow")]
        self.objects[name] = {f"{one['kind']}/{one['metadata']['name']}" for one in found}
        self.leads = self.leading()

    def leading(self) -> str:
        """Which pods the Service leads to."""
        (service,) = [one for one in self.there.cluster.of("services", "kubeflow")
                      if one["metadata"]["name"] == "mnist-service"]  # fmt: skip
        return str(service["spec"]["selector"]["app"])

    def __getitem__(self, name: str) -> Told:
        return self.runs[name]

    def wrote(self, name: str) -> list[str]:
        """The writes of a run, in their order: what was done to which object."""
        short = [re.sub(r"kubernetes/mnist-staging/\S*/namespaces/kubeflow/", "", one) for one in self[name].writes]
        return [re.sub(r"^(POST|PATCH) storage/\S+", r"\1 bucket", one) for one in short]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("canary")
    with quick(folder, version, *STAGES) as there:
        there.poll = 30.0
        behind, made = Behind(there, folder), Life(there)
        try:
            made.run("trained", "train", changes=NEWER)
            made.new = there.tags[-1]
            made.run("begun", "promote", version=made.new, percent="50")
            made.begun_leads = made.leads
            made.run("again", "promote", version=made.new, percent="50")
            made.run("served", "serve")
            made.runs["compared"] = there.told(lambda c: comparison.canary(c, 20), ())
            made.runs["status"] = there.told(views.status, ())
            made.run("ended", "rollback")
            made.run("promoted", "promote", version=made.new)
            yield made
        finally:
            behind.end()


OWN = {
    "ConfigMap/mnist-serving-canary", "Deployment/mnist-serving-canary", "Service/mnist-canary", "Service/mnist-stable",
    "ConfigMap/mnist-router", "Deployment/mnist-router",
}  # fmt: skip
"""What there is only while a canary is on."""


@pytest.mark.parametrize("name", ["trained", "begun", "again", "served", "compared", "status", "ended", "promoted"])
def test_the_run_succeeds(life: Life, name: str) -> None:
    assert (life[name].code, life.there.cloud.state.unknown) == (0, []), life[name].said


def test_the_canarys_server_and_the_router_are_there_before_the_service_leads_to_them(life: Life) -> None:
    made = [write for write in life.wrote("begun") if "pods" not in write]
    assert made == [
        "POST bucket", "POST configmaps", "POST deployments", "POST services", "POST services", "POST configmaps",
        "POST deployments", "PATCH services/mnist-service",
    ]  # fmt: skip
    assert life.objects["begun"] - life.objects["trained"] == OWN
    assert life.begun_leads == "mnist-router"


def test_the_command_asks_both_servers_and_the_service_who_answers(life: Life) -> None:
    assert f"version {life.new} gets 50 % of the predictions" in life["begun"].said


@pytest.mark.parametrize("name", ["again", "served"])
def test_the_same_share_again_and_serve_write_nothing(life: Life, name: str) -> None:
    assert life[name].writes == []


def test_the_comparison_and_status_reach_both_servers(life: Life) -> None:
    rows = [line.split()[:3] for line in life["compared"].said.splitlines() if re.match(r"\d{10} ", line)]
    assert [row[1] for row in rows] == ["stable", "canary"]
    assert "the same digit for 20 of 20 images" in life["compared"].said
    assert f"on trial: {life.new} with 50 % of the predictions" in life["status"].said
    assert life["status"].said.count("AVAILABLE") == 2


def test_a_rollback_leads_past_the_router_first_and_leaves_nothing_of_the_trial(life: Life) -> None:
    record, lead, *gone = life.wrote("ended")
    assert (record, lead) == ("POST bucket", "PATCH services/mnist-service")
    assert [write for write in gone if "pods" not in write] == [
        "DELETE configmaps/mnist-router", "DELETE deployments/mnist-router", "DELETE services/mnist-stable",
        "DELETE configmaps/mnist-serving-canary", "DELETE deployments/mnist-serving-canary",
        "DELETE services/mnist-canary",
    ]  # fmt: skip
    assert life.objects["ended"] == life.objects["trained"]


def test_a_promotion_afterwards_is_one_as_ever(life: Life) -> None:
    assert life.leads == "mnist"
    assert "router" not in str(life["promoted"].writes)
