"""A cluster that is somebody else's: everything up in it, the same the second time, and out again without a trace."""

from __future__ import annotations

import contextlib
import copy
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloud import Cloud
from conftest import copied
from fakes.kubernetes import Cluster
from fakes.kubernetes.inference import DEFINITION
from fakes.world import OPERATOR
from pipeline.stages import STAGES
from tests.gke.breaking_off import kept
from tests.gke.conftest import REAL
from tests.gke.flows import Flow, Run

KIND = """\
name: mnist-kind
identity: key-secret

cluster:
  kind: existing
  context: kind-theirs
"""
SECOND = KIND.replace("mnist-kind", "mnist-second")
CONTEXT = "kind-theirs"
BUCKET = "demo-project-1-mnist-kind-bucket"
DEPLOYED = "deployments.apps/kubeflow/training-operator"


class Guest(Flow):
    """An environment in somebody's cluster, which their kubeconfig leads to."""

    def __init__(self, cloud: Cloud, folder: Path, *changes: str) -> None:
        self.cluster: Cluster = cloud.world.add_cluster("theirs")
        cloud.prepare(self.cluster)
        self.config = self.cluster.kubeconfig(folder / "kubeconfig", CONTEXT)
        self.before = self.config.read_text()
        super().__init__(cloud, *changes, env="kind")
        self.environment("kind", KIND)

    def environment(self, name: str, text: str) -> None:
        """Write an environment's file into the checkout."""
        self.cloud.checkout.root.joinpath("config", f"{name}.yaml").write_text(text)

    def run(self, name: str, *words: str, **extra: str) -> Run:
        return super().run(name, *words, KUBECONFIG=str(self.config), **extra)

    def theirs(self) -> dict[str, Any]:
        """All that is in the cluster now, each object whole."""
        return copy.deepcopy(dict(self.cluster.objects))


Visit = Callable[..., Guest]


@contextlib.contextmanager
def visiting(folder: Path, version: Path, *changes: str, real: bool = False) -> Iterator[Guest]:
    """An environment in a cluster of a cloud of its own, which ends with it."""
    cloud = Cloud(copied(folder / "checkout"), folder, version, real)
    try:
        yield Guest(cloud, folder, *changes)
        assert cloud.state.unknown == []
    finally:
        cloud.close()


@pytest.fixture
def visit(tmp_path: Path, version: Path) -> Iterator[Visit]:
    """Makes such environments with everything up that is named; all end with the test."""
    with contextlib.ExitStack() as stack:

        def new(*stages: str, changes: tuple[str, ...] = ()) -> Guest:
            guest = stack.enter_context(visiting(tmp_path / "visit", version, *changes))
            if stages:
                assert guest.run("up", *stages).code == 0, guest["up"].said
            return guest

        yield new


@pytest.fixture(scope="module")
def deployed_once(
    tmp_path_factory: pytest.TempPathFactory, version: Path
) -> Iterator[tuple[Guest, Callable[[], None]]]:
    """An environment with what `deploy` makes, and what brings all of it back."""
    folder = tmp_path_factory.mktemp("deployed")
    with visiting(folder, version) as guest:
        assert guest.run("up", "deploy").code == 0, guest["up"].said
        build, hooks = guest.cloud.checkout.root / "build", guest.cluster.hooks.copy()
        shutil.copytree(build, folder / "build", symlinks=True)
        forget = guest.cluster.controllers.remembering()
        with kept(guest.cloud) as bring_back:

            def restore() -> None:
                guest.cloud.state.faults.clear()
                forget()
                bring_back()
                guest.cluster.hooks[:] = hooks
                guest.env = "kind"
                guest.config.write_text(guest.before)
                shutil.rmtree(build, ignore_errors=True)
                shutil.copytree(folder / "build", build, symlinks=True)

            yield guest, restore


@pytest.fixture
def deployed(deployed_once: tuple[Guest, Callable[[], None]]) -> Guest:
    """An environment with what `deploy` makes and nothing else."""
    guest, restore = deployed_once
    restore()
    return guest


@pytest.fixture(scope="module", params=["stand-ins", pytest.param("real clients", marks=[REAL, pytest.mark.slow])])
def guest(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Guest]:
    """One environment's life, run once for all tests of it; it brings namespace and operator."""
    real = request.param == "real clients"
    if real and not request.config.getoption("--every"):
        pytest.skip("tests/gke/test_flow.py has the real clients already: pytest --every has them here too")
    with visiting(tmp_path_factory.mktemp("guest"), version, real=real) as guest:
        guest.run("all", "all")
        guest.run("again", "all")
        guest.run("plan", "plan")
        guest.run("predicted", "predict", "--count=3")
        guest.run("unasked", "clean")
        guest.run("clean", "clean", "--yes")
        guest.run("clean again", "clean", "--yes")
        yield guest


def test_everything_comes_up_in_a_cluster_that_is_there(guest: Guest) -> None:
    assert (guest["all"].code, tuple(guest["all"].summary)) == (0, STAGES), guest["all"].said
    assert guest["all"].summary["deploy"] == f"cluster of context {CONTEXT}, bucket gs://{BUCKET}"


def test_no_cluster_is_made_and_none_is_asked_for(guest: Guest) -> None:
    assert [line for line in guest.cloud.state.requests if " container/" in line] == []


def test_the_second_run_changes_nothing(guest: Guest) -> None:
    assert (guest["again"].code, guest["again"].writes) == (0, []), guest["again"].said


@pytest.mark.parametrize("stage", STAGES)
def test_the_second_run_says_of_every_stage_that_it_is_unchanged(guest: Guest, stage: str) -> None:
    assert guest["again"].summary[stage].startswith("unchanged: "), guest["again"].said


def test_the_plan_of_what_is_up_is_empty(guest: Guest) -> None:
    assert (guest["plan"].code, guest["plan"].writes) == (0, []), guest["plan"].said


def test_a_prediction_goes_through_a_port_forward(guest: Guest) -> None:
    assert "3 of 3 right" in guest["predicted"].said


def test_your_own_kubeconfig_is_only_read(guest: Guest) -> None:
    assert guest.config.read_text() == guest.before


def test_fault_77_without_a_terminal_and_without_yes_nothing_goes(guest: Guest) -> None:
    assert (guest["unasked"].code, guest["unasked"].writes) == (2, []), guest["unasked"].said


def test_what_is_listed_beforehand_is_what_goes(guest: Guest) -> None:
    """Our own objects are no reason to leave the namespace or the operator, though they are still there."""
    listed = re.findall(r"^  run +(.*)$", guest["clean"].said, re.MULTILINE)
    done = [line[4:] for line in guest["clean"].said.splitlines() if re.match(r" {4}\S", line)]
    assert listed == done
    assert {"delete the training operator", "delete namespace kubeflow"} <= set(listed)


def test_clean_leaves_nothing_in_the_cluster_and_nothing_outside(guest: Guest) -> None:
    assert (guest["clean"].code, guest.new("clean")) == (0, []), guest["clean"].said


def test_fault_76_the_cluster_and_all_that_was_in_it_stay(guest: Guest) -> None:
    assert [line for line in guest.empty if line not in guest["clean"].left] == []


def test_fault_79_cleaning_twice_is_no_change(guest: Guest) -> None:
    assert (guest["clean again"].code, guest["clean again"].writes) == (0, []), guest["clean again"].said


def test_clean_looks_into_the_cluster_too_for_its_proof(guest: Guest) -> None:
    """Eighteen kinds of object in the namespace, and three things outside."""
    last = guest["clean"].said.strip().splitlines()[-1]
    assert re.search(r"nothing is left: looked for 21 things, found 0$", last), last


NEAR = {"app.kubernetes.io/managed-by": "kubeflow-mnist-pipeline", "app.kubernetes.io/part-of": "mnist-kind"}
"""Two of our three labels."""


def furnish(guest: Guest) -> set[str]:
    """Put in what somebody else has in the very namespace, labelled nearly as ours; answers their places."""
    before = set(guest.cluster.objects)
    for number, labels in enumerate(({}, NEAR, {**NEAR, "pipeline/environment": "staging"})):
        name = f"mnist-theirs-{number}"
        about = {"namespace": "kubeflow", "name": name, "labels": labels}
        pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "web", "image": "theirs"}]}}
        specs: dict[str, dict[str, Any]] = {
            "configmaps": {"data": {"whose": "theirs"}}, "secrets": {"type": "Opaque", "data": {}},
            "serviceaccounts": {}, "persistentvolumeclaims": {"spec": {"accessModes": ["ReadWriteOnce"]}},
            "services": {"spec": {"type": "ClusterIP", "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}]}},
            "deployments.apps": {"spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": pod}},
        }  # fmt: skip
        for kind, rest in specs.items():
            guest.cluster.add(kind, {"metadata": about, **rest})
    return {name for name in guest.cluster.objects if not name.startswith("events/")} - before


def constant(found: dict[str, Any]) -> dict[str, Any]:
    """An object without what the cluster itself writes into it."""
    kept = ("name", "namespace", "labels", "uid")
    about = {key: value for key, value in found["metadata"].items() if key in kept}
    return {**{key: value for key, value in found.items() if key not in ("status", "metadata")}, "metadata": about}


class Shared(Guest):
    """An environment between the things of others, in a namespace that was there."""

    furniture: set[str]
    ahead: dict[str, Any]
    behind: dict[str, Any]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    cloud = Cloud(copied(folder / "checkout"), folder, version)
    try:
        guest = Shared(cloud, folder)
        guest.cluster.add("namespaces", {"metadata": {"name": "kubeflow"}})
        guest.furniture = furnish(guest)
        for quota, limit in {"STATIC_ADDRESSES": 64, "IN_USE_ADDRESSES": 64}.items():
            cloud.world.quota(quota, limit)
        cloud.world.plant()
        guest.empty, guest.ahead = cloud.world.summary(), guest.theirs()
        guest.run("all", "all")
        guest.run("clean", "clean", "--yes")
        guest.behind = guest.theirs()
        yield guest
        assert cloud.state.unknown == []
    finally:
        cloud.close()


def test_an_environment_comes_up_beside_others_in_one_namespace(shared: Shared) -> None:
    assert (shared["all"].code, len(shared.furniture) >= 18) == (0, True), shared["all"].said


def test_fault_76_the_objects_of_others_in_the_namespace_stay_as_they_are(shared: Shared) -> None:
    gone = shared.furniture - shared.behind.keys()
    there = shared.furniture & shared.behind.keys()
    changed = {name for name in there if constant(shared.ahead[name]) != constant(shared.behind[name])}
    assert (gone, changed) == (set(), set())


def test_fault_76_the_namespace_that_was_there_stays_and_all_of_ours_goes(shared: Shared) -> None:
    assert (shared["clean"].code, shared.new("clean")) == (0, []), shared["clean"].said
    assert [line for line in shared.empty if line not in shared["clean"].left] == []


def test_an_operator_and_a_kserve_that_somebody_else_installed_are_used_and_stay(visit: Visit) -> None:
    guest = visit(changes=("serving.kind=kserve",))
    guest.cluster.add("customresourcedefinitions.apiextensions.k8s.io", DEFINITION)
    apply = ("kubectl", "apply", "--server-side", f"--kustomize={OPERATOR}", f"--kubeconfig={guest.config}")
    guest.cloud.world.run(*apply, "--field-manager=their-own", check=True)
    guest.empty, before = guest.cloud.world.summary(), guest.theirs()
    assert guest.run("all", "all").code == 0, guest["all"].said
    assert "install the training operator" not in guest["all"].said
    assert "inferenceservices.serving.kserve.io/kubeflow/mnist" in guest.theirs()
    run = guest.run("clean", "clean", "--yes")
    assert "the training operator is left alone: somebody else installed it" in run.said
    assert (run.code, guest.new("clean")) == (0, []), run.said
    assert constant(guest.theirs()[DEPLOYED]) == constant(before[DEPLOYED])


def test_an_operator_that_others_train_with_by_now_stays(deployed: Guest) -> None:
    deployed.cluster.hooks.clear()
    deployed.cluster.add("namespaces", {"metadata": {"name": "team"}})
    worker = {"replicas": 1, "template": {"spec": {"containers": [{"name": "tensorflow", "image": "theirs"}]}}}
    about = {"namespace": "team", "name": "their-training"}
    deployed.cluster.add("tfjobs.kubeflow.org", {"metadata": about, "spec": {"tfReplicaSpecs": {"Worker": worker}}})
    run = deployed.run("clean", "clean", "--yes")
    assert "the training operator is left alone: others have jobs in the cluster" in run.said
    assert "namespace kubeflow is left alone" in run.said
    there = deployed.theirs()
    assert (run.code, {"tfjobs.kubeflow.org/team/their-training", DEPLOYED} <= set(there)) == (0, True), run.said
    assert [name for name in there if "pipeline-environment" in name or "user-gcp-sa" in name] == []


def test_an_operator_goes_with_the_last_environment_that_needs_it(deployed: Guest) -> None:
    """Two environments, each in its own namespace; the operator's namespace is the first one's."""
    deployed.environment("second", SECOND + "  namespace: second\n")
    deployed.env = "second"
    assert deployed.run("second", "deploy").code == 0, deployed["second"].said
    deployed.env = "kind"
    first = deployed.run("first clean", "clean", "--yes")
    assert (first.code, "left alone: environment second needs it" in first.said) == (0, True), first.said
    assert DEPLOYED in deployed.theirs()
    deployed.env = "second"
    last = deployed.run("last clean", "clean", "--yes")
    assert (last.code, deployed.theirs().keys() & {"namespaces/second", DEPLOYED}) == (0, set()), last.said


def test_a_namespace_of_its_own_is_not_the_operators(visit: Visit) -> None:
    """kubectl refuses manifests of one namespace where it is told another."""
    guest = visit("deploy", "build", "train", changes=("cluster.namespace=mnist",))
    assert DEPLOYED in guest.theirs()
    run = guest.run("clean", "clean", "--yes")
    assert (run.code, guest.new("clean")) == (0, []), run.said


def test_a_namespace_that_we_made_and_others_moved_into_stays(deployed: Guest) -> None:
    theirs = furnish(deployed)
    run = deployed.run("clean", "clean", "--yes")
    assert re.search(r"namespace kubeflow is left alone: \d+ objects are not this environment's", run.said), run.said
    left = {name for name in deployed.theirs() if not name.startswith("events/")}
    assert (run.code, theirs - left) == (0, set()), run.said
    assert [name for name in left if "pipeline-environment" in name or "training-operator" in name] == []


def test_a_namespace_stays_for_a_single_object_of_any_kind(deployed: Guest) -> None:
    about = {"namespace": "kubeflow", "name": "theirs"}
    deployed.cluster.add("backendconfigs.cloud.google.com", {"metadata": about, "spec": {}})
    run = deployed.run("clean", "clean", "--yes")
    assert "namespace kubeflow is left alone: 1 object is not this environment's" in run.said
    assert (run.code, "backendconfigs.cloud.google.com/kubeflow/theirs" in deployed.theirs()) == (0, True), run.said


def test_fault_20_another_environments_mark_is_respected(deployed: Guest) -> None:
    """The same namespace of the same cluster: nothing is applied and nothing deleted there."""
    deployed.environment("second", SECOND)
    before, deployed.env = deployed.theirs(), "second"
    refused = deployed.run("refused", "deploy")
    assert (refused.code, "belongs to somebody else (environment kind, not second" in refused.said) == (2, True)
    run = deployed.run("clean", "clean", "--yes")
    assert (run.code, "what is inside the cluster: " in run.said) == (1, True), run.said
    assert deployed.theirs() == before


FAILING = [
    pytest.param("deployments/training-operator$", marks=pytest.mark.repeats("the row of the operator's namespace")),
    "v1/namespaces/kubeflow$",
    pytest.param("/secrets/user-gcp-sa$", marks=pytest.mark.repeats("the row of the namespace")),
    pytest.param("/serviceaccounts/", marks=pytest.mark.repeats("the row of the namespace")),
]  # fmt: skip


@pytest.mark.parametrize("pattern", FAILING)
def test_fault_79_a_clean_that_failed_inside_the_cluster_goes_on(deployed: Guest, pattern: str) -> None:
    deployed.cloud.state.fault(f"DELETE kubernetes/theirs/.*{pattern}", status=403)
    failed = deployed.run("failed", "clean", "--yes")
    assert (failed.code, "what is inside the cluster: " in failed.said) == (1, True), failed.said
    again = deployed.run("again", "clean", "--yes")
    assert (again.code, deployed.new("again")) == (0, []), again.said


def test_fault_79_a_deploy_that_ended_before_its_mark_leaves_no_namespace(visit: Visit) -> None:
    guest = visit()
    guest.cloud.state.fault("kubernetes/theirs/.*/configmaps", writes=True, status=403)
    assert guest.run("deploy", "deploy").code == 1, guest["deploy"].said
    assert "namespaces/kubeflow" in guest.theirs()
    run = guest.run("clean", "clean", "--yes")
    assert (run.code, guest.new("clean")) == (0, []), run.said


def test_a_cluster_out_of_reach_does_not_keep_the_rest(deployed: Guest) -> None:
    deployed.config.write_text(deployed.before.replace(CONTEXT, "kind-other"))
    run = deployed.run("clean", "clean", "--yes")
    outside = [line for line in deployed.new("clean") if not line.startswith("kubernetes ")]
    assert (run.code, "what is inside the cluster: " in run.said, outside) == (1, True, []), run.said


def test_models_can_be_kept(deployed: Guest) -> None:
    """With a key: the account's access to the bucket goes before the account, of which nobody would know any more."""
    run = deployed.run("clean", "clean", "--keep-models", "--yes")
    left = [line for line in deployed.new("clean") if "legacyBucketOwner" not in line]
    assert (run.code, [line.split()[:2] for line in left]) == (0, [["storage.buckets", BUCKET]]), run.said
