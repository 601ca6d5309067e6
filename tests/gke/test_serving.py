"""The model server of an environment that is up: it grows, is KServe's, and a Deployment's again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fakes.kubernetes.inference import DEFINITION
from pipeline import views
from tests.gke.quick import Quick, Told, quick

STAGES = ("deploy", "build", "train", "serve")
FIXED, GROWING = ("serving.replicas=2",), ("serving.replicas=2", "serving.max_replicas=5")
KSERVE = ("serving.kind=kserve",)
APIS, WITHIN = "kubernetes/mnist-staging/apis", "namespaces/kubeflow"


@dataclass
class Server:
    """The server as it was after a run: what the run said, and the objects by kind and name."""

    told: Told
    objects: dict[str, Any]

    def replicas(self, name: str = "mnist-serving") -> int:
        return int(self.objects[f"Deployment/{name}"]["spec"]["replicas"])


class Life:
    """Runs of `serve`, one after the other, each kept by a name."""

    lowest: int
    """The fewest replicas that the Deployment was told to have while the autoscaler took over."""

    def __init__(self, there: Quick) -> None:
        self.there, self.runs = there, dict[str, Server]()
        there.poll = 30.0

    def serve(self, name: str, *changes: str) -> None:
        self.keep(name, self.there.up("serve", changes=changes))

    def keep(self, name: str, told: Told) -> None:
        kinds = ("deployments.apps", "services", "pods", "horizontalpodautoscalers.autoscaling",
                 "poddisruptionbudgets.policy", "networkpolicies.networking.k8s.io",
                 "inferenceservices.serving.kserve.io")  # fmt: skip
        known = [kind for kind in kinds if any(one.resource == kind for one in self.there.cluster.kinds)]
        objects = [one for kind in known for one in self.there.cluster.of(kind, "kubeflow")]
        self.runs[name] = Server(told, {f"{one['kind']}/{one['metadata']['name']}": one for one in objects})

    def scaled(self, replicas: int) -> None:
        """The autoscaler under load."""
        with self.there.cloud.state.lock:
            (found,) = [
                one for one in self.there.cluster.of("deployments.apps", "kubeflow")
                if one["metadata"]["name"] == "mnist-serving"
            ]  # fmt: skip
            kind = self.there.cluster.kind("deployments.apps")
            self.there.cluster.store.put(kind, {**found, "spec": {**found["spec"], "replicas": replicas}})

    def fewest(self, since: int) -> int:
        """The fewest replicas that the Deployment was ever told to have after a moment of the cluster's history."""
        seen = [
            change.found["spec"]["replicas"] for change in self.there.cluster.store.history
            if change.version > since and change.found["metadata"]["name"] == "mnist-serving"
            and change.kind.resource == "deployments.apps" and change.what != "DELETED"
        ]  # fmt: skip
        return int(min(seen))

    def __getitem__(self, name: str) -> Server:
        return self.runs[name]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Life]:
    with quick(tmp_path_factory.mktemp("serving"), version, *STAGES) as there:
        life = Life(there)
        life.serve("fixed", *FIXED)
        since = there.cluster.store.version
        life.keep("grows, planned", there.plan("serve", changes=GROWING))
        life.serve("grows", *GROWING)
        life.scaled(4)
        life.serve("under load", *GROWING)
        life.lowest = life.fewest(since)
        life.serve("no KServe", *KSERVE)
        there.cluster.add("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
        there.cluster.runtimes.clear()
        life.serve("refused", *KSERVE)
        there.cluster.runtimes.add("tensorflow")
        life.serve("KServe", *KSERVE)
        life.serve("KServe again", *KSERVE)
        life.keep("status", there.look(views.status, KSERVE))
        there.cluster.log("mnist-predictor-.*", "Exporting HTTP/REST API at:localhost:8500")
        life.keep("logs", there.look(lambda c: views.logs(c, "serving"), KSERVE))
        there.cluster.delay = 20
        life.serve("KServe with another image", *KSERVE, "serving.image=tensorflow/serving:2.19.0")
        life.serve("back")
        yield life
        assert there.cloud.state.unknown == []


@pytest.mark.parametrize(
    "name",
    ["fixed", "grows", "under load", "KServe", "KServe again", "status", "logs", "KServe with another image", "back"],
)
def test_the_run_succeeds(life: Life, name: str) -> None:
    assert life[name].told.code == 0, life[name].told.said


def test_a_number_that_grows_is_said_beforehand(life: Life) -> None:
    said = life["grows, planned"].told.said
    assert "run   leave the number of mnist-serving's pods to the autoscaler" in said
    assert "run   apply HorizontalPodAutoscaler mnist-serving, PodDisruptionBudget mnist-serving, " in said


def test_the_server_never_shrinks_to_one_when_the_autoscaler_takes_over(life: Life) -> None:
    assert life["fixed"].replicas() == 2
    assert life.lowest == 2
    assert life["grows"].objects["HorizontalPodAutoscaler/mnist-serving"]["spec"]["maxReplicas"] == 5


def test_what_the_autoscaler_did_is_no_drift(life: Life) -> None:
    assert life["under load"].told.writes == []
    assert life["under load"].replicas() == 4


def test_without_kserve_nothing_is_done_and_one_sentence_says_why(life: Life) -> None:
    told = life["no KServe"].told
    assert (told.code, told.writes) == (2, [])
    assert "KServe, which serving.kind asks for, is not in the cluster: install it" in told.error
    assert "or write serving.kind: deployment" in told.error


def test_kserve_runs_the_server_in_the_deployments_place(life: Life) -> None:
    there = life["KServe"].objects
    assert "InferenceService/mnist" in there
    assert {"Deployment/mnist-serving", "HorizontalPodAutoscaler/mnist-serving"} & there.keys() == set()
    labels = [one["metadata"]["labels"] for name, one in there.items() if name.startswith("Pod/mnist-predictor-")]
    selector = there["Service/mnist-service"]["spec"]["selector"]
    assert [selector.items() <= one.items() for one in labels] == [True]


def test_the_old_server_goes_when_kserves_is_ready(life: Life) -> None:
    writes = [f"DELETE {APIS}/apps/v1/{WITHIN}/deployments/mnist-serving",
              f"DELETE {APIS}/autoscaling/v2/{WITHIN}/horizontalpodautoscalers/mnist-serving"]  # fmt: skip
    assert life["KServe"].told.writes == writes, "the Service and what protects the server fit either"
    for kind in ("Deployment", "HorizontalPodAutoscaler"):
        assert f"delete {kind} mnist-serving, which is not wanted now" in life["KServe"].told.said


def test_what_kserve_made_is_left_to_it_and_a_second_run_writes_nothing(life: Life) -> None:
    assert life["KServe again"].told.writes == []
    assert {"Deployment/mnist-predictor", "Service/mnist-predictor"} <= life["KServe again"].objects.keys()


def test_status_and_logs_find_the_server_that_kserve_runs(life: Life) -> None:
    said = life["status"].told.said
    assert re.search(r"serving +ready +inferenceservice/mnist", said), said
    assert re.search(r"serving +1/1 ready +deployment/mnist-predictor", said), said
    assert "Exporting HTTP/REST API at:localhost:8500" in life["logs"].told.said


def test_a_change_is_waited_for_until_kserves_own_pods_have_it(life: Life) -> None:
    there = life["KServe with another image"].objects
    assert "mnist: waiting until KServe has it ready" in life["KServe with another image"].told.said
    images = [one["spec"]["containers"][0]["image"] for name, one in there.items() if "Pod/mnist-predictor" in name]
    assert images == ["tensorflow/serving:2.19.0"]


def test_back_to_a_deployment_kserves_part_goes_with_all_that_it_made(life: Life) -> None:
    left = [name for name in life["back"].objects if "predictor" in name or "InferenceService" in name]
    assert (left, life["back"].replicas()) == ([], 1)


def test_what_kserve_refuses_is_told_in_its_words(life: Life) -> None:
    told = life["refused"].told
    assert told.code == 1
    reason = "mnist: KServe refuses it: NoSupportingRuntime: No runtime found to support specified framework/version"
    assert reason in told.error
    assert "Deployment/mnist-serving" in life["refused"].objects
