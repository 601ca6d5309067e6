"""What somebody deleted or changed by hand in an environment: the plan shows it, and the next run mends it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.stages import STAGES
from tests.gke.quick import Quick, Told, played_once, quick

INSIDE = "kubernetes/mnist-staging"
OBJECTS = f"{INSIDE}/api/v1/namespaces/kubeflow"
DEPLOYMENTS = f"{INSIDE}/apis/apps/v1/namespaces/kubeflow/deployments"
BUCKET = "demo-project-1-mnist-staging-bucket"
NODES = "mnist-staging-nodes@demo-project-1.iam.gserviceaccount.com"
NOT_AGAIN = re.compile(r" deleted:|(jobs\.batch|tfjobs\.kubeflow\.org)/|services/kubeflow/train-|\b[0-9]{10}\b")
"""Of a cloud's summary: what trainings leave, which is not made again without a reason, and the members that Google
keeps for 60 days of an account that was deleted."""

Damage = Callable[[Quick], object]


@dataclass(frozen=True)
class Drift:
    """What somebody did, the stages that mend it, what their plan says, and their writes; patterns, in this order."""

    damage: Damage
    stages: tuple[str, ...]
    shown: tuple[str, ...]
    writes: tuple[str, ...]


@dataclass(frozen=True)
class Played:
    """What there was before, the plan, the run that mended, what there was then, and the plan after it."""

    before: list[str]
    plan: Told
    mended: Told
    after: list[str]
    then: Told


def kubectl(*words: str) -> Damage:
    """A person's kubectl in the environment's cluster."""

    def act(there: Quick) -> None:
        config = there.cloud.checkout.root / "build" / there.env / "kubeconfig"
        done = there.cloud.world.run("kubectl", *words, f"--kubeconfig={config}", "--namespace=kubeflow")
        assert done.returncode == 0, done.stderr

    return act


def gcloud(*words: str) -> Damage:
    """A person's gcloud in the environment's project."""

    def act(there: Quick) -> None:
        done = there.cloud.world.run("gcloud", *words, "--project=demo-project-1", "--quiet")
        assert done.returncode == 0, done.stderr

    return act


def edited(resource: str, name: str, section: str, key: str, value: object) -> Damage:
    """A person's `kubectl edit` or `kubectl scale`, which leaves the annotation of the last apply as it was."""

    def act(there: Quick) -> None:
        with there.cloud.state.lock:
            (found,) = [one for one in there.cluster.of(resource, "kubeflow") if one["metadata"]["name"] == name]
            metadata = {**found["metadata"], "generation": found["metadata"].get("generation", 1) + 1}
            changed = {**found, "metadata": metadata, section: {**found[section], key: value}}
            there.cluster.store.put(there.cluster.kind(resource), changed)

    return act


def loses_images(there: Quick) -> None:
    """Somebody tidied up in the registry."""
    there.cloud.state.of("artifactregistry.images").clear()


def loses_members(there: Quick) -> None:
    """Somebody took the bucket from the workloads."""
    policy = there.cloud.state.of("policies")[f"bucket {BUCKET}"]
    policy["bindings"] = [one for one in policy["bindings"] if one["role"] != "roles/storage.objectUser"]


def loses_weights(there: Quick) -> None:
    """Somebody deleted a file of the only version."""
    files = there.cloud.state.of(f"storage.objects/{BUCKET}")
    del files[next(name for name in files if name.endswith("/saved_model.pb"))]


def loses_the_bucket(there: Quick) -> None:
    """Somebody deleted the bucket with all that was in it."""
    state = there.cloud.state
    del state.of("storage.buckets")[BUCKET], state.of("policies")[f"bucket {BUCKET}"]
    state.of(f"storage.objects/{BUCKET}").clear()


UPLOAD = f"POST storage/upload/storage/v1/b/{BUCKET}/o"
NEW_VERSION = (
    rf"POST {INSIDE}/apis/batch/v1/namespaces/kubeflow/jobs", UPLOAD,
    rf"POST {INSIDE}/apis/kubeflow.org/v1/namespaces/kubeflow/tfjobs",
)  # fmt: skip
OPERATOR = (
    rf"PATCH {INSIDE}/api/v1/namespaces/kubeflow", rf"PATCH {INSIDE}/apis/apiextensions.*/tfjobs.kubeflow.org",
    rf"PATCH {OBJECTS}/serviceaccounts/training-operator", rf"PATCH {DEPLOYMENTS}/training-operator",
    rf"PATCH {DEPLOYMENTS}/training-operator",
)  # fmt: skip
"""The second write to its Deployment notes that all of it was installed."""
PROTECTION = (
    f"POST {INSIDE}/apis/policy/v1/namespaces/kubeflow/poddisruptionbudgets",
    f"POST {INSIDE}/apis/networking.k8s.io/v1/namespaces/kubeflow/networkpolicies",
)
TOLD = (f"PATCH {OBJECTS}/configmaps/mnist-serving", f"PATCH {OBJECTS}/pods/mnist-serving-.*")
"""The server is told what to serve, and its pod so that it looks at once; before, who is stable is written down."""

DRIFTS = {
    "the page's Deployment is gone": Drift(
        kubectl("delete", "deployment", "web-ui"), ("ui",), ("run +apply Deployment web-ui",), (f"POST {DEPLOYMENTS}",),
    ),
    "the page is scaled to nothing": Drift(
        edited("deployments.apps", "web-ui", "spec", "replicas", 0), ("ui",),
        (r"-  replicas: 0\n", r"\+  replicas: 1\n", "run +apply Deployment web-ui"), (f"PATCH {DEPLOYMENTS}/web-ui",),
    ),
    "the server's Service is gone": Drift(
        kubectl("delete", "service", "mnist-service"), ("serve",), ("run +apply Service mnist-service",),
        (f"POST {OBJECTS}/services",),
    ),
    "the server is open to everybody": Drift(
        kubectl("delete", "networkpolicy", "mnist-serving"), ("serve",),
        ("run +apply PodDisruptionBudget mnist-serving, NetworkPolicy mnist-serving",),
        PROTECTION[1:],
    ),
    "the server's settings are edited": Drift(
        edited("configmaps", "mnist-serving", "data", "monitoring.config", "by hand"), ("serve",),
        (r"-  monitoring.config: by hand\n",), (f"PATCH {OBJECTS}/configmaps/mnist-serving",),
    ),
    "the workloads' account is gone": Drift(
        kubectl("delete", "serviceaccount", "trainer"), ("deploy",), ("run +apply ServiceAccount trainer",),
        (f"POST {OBJECTS}/serviceaccounts",),
    ),
    "the mark is gone": Drift(
        kubectl("delete", "configmap", "pipeline-environment"), ("deploy",),
        ("run +note in the cluster that it is environment staging's",), (f"POST {OBJECTS}/configmaps",),
    ),
    "the operator is gone": Drift(
        kubectl("delete", "deployment", "training-operator"), ("deploy",), ("run +install the training operator",),
        OPERATOR,
    ),
    "the namespace is gone": Drift(
        kubectl("delete", "namespace", "kubeflow"), STAGES,
        ("run +make namespace kubeflow", "run +install the training", "run +apply ConfigMap", "run +apply Deployment"),
        (f"POST {INSIDE}/api/v1/namespaces", f"POST {OBJECTS}/configmaps", *OPERATOR,
         *(f"POST {OBJECTS}/serviceaccounts",) * 2, f"POST {OBJECTS}/configmaps", f"POST {DEPLOYMENTS}",
         f"POST {OBJECTS}/services", *PROTECTION, f"POST {DEPLOYMENTS}", f"POST {OBJECTS}/services"),
    ),
    "the workloads lost the bucket": Drift(
        loses_members, ("deploy",), (f"run +give the workloads' access to gs://{BUCKET}",),
        (f"PUT storage/storage/v1/b/{BUCKET}/iam",),
    ),
    "the nodes lost their role": Drift(
        gcloud("projects", "remove-iam-policy-binding", "demo-project-1", f"--member=serviceAccount:{NODES}",
               "--role=roles/container.defaultNodeServiceAccount", "--condition=None"),
        ("deploy",), ("run +give roles/container.defaultNodeServiceAccount of mnist-staging-nodes",),
        ("POST cloudresourcemanager/.*:setIamPolicy",),
    ),
    "the nodes' account is gone": Drift(
        gcloud("iam", "service-accounts", "delete", NODES), ("deploy",),
        ("run +create the service account mnist-staging-nodes", "run +give roles/container.defaultNode",
         "run +give roles/artifactregistry.reader"),
        ("POST iam/.*/serviceAccounts", "POST cloudresourcemanager/.*:setIamPolicy",
         "POST artifactregistry/.*:setIamPolicy"),
    ),
    "the registry is gone": Drift(
        gcloud("artifacts", "repositories", "delete", "mnist-staging", "--location=us-central1"), ("deploy", "build"),
        ("run +create the image registry", "run +give roles/artifactregistry.reader", "run +build train",
         "run +push .*/train", "run +build web-ui", "run +push .*/web-ui"),
        ("POST artifactregistry/.*/repositories", "POST artifactregistry/.*:setIamPolicy",
         *("POST artifactregistry/fake/push",) * 2),
    ),
    "the images are gone": Drift(
        loses_images, ("build",), ("run +build train", "run +push .*/train", "run +build web-ui", "run +push .*/web"),
        ("POST artifactregistry/fake/push",) * 2,
    ),
    "the version is damaged": Drift(
        loses_weights, ("train", "serve"), (r"run +make version \d+: ",), (*NEW_VERSION, UPLOAD, *TOLD, *TOLD),
    ),
    "the bucket is gone": Drift(
        loses_the_bucket, ("deploy", "train", "serve"),
        (f"run +create the bucket gs://{BUCKET}", "run +give the workloads' access", "run +make version <tag>"),
        ("POST storage/storage/v1/b", f"PUT storage/storage/v1/b/{BUCKET}/iam", *NEW_VERSION, UPLOAD, *TOLD, *TOLD),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Quick]:
    with quick(tmp_path_factory.mktemp("drift"), version, *STAGES) as made:
        yield made


Play = Callable[[str], Played]


@pytest.fixture(scope="module")
def play(whole: Quick) -> Play:
    return played_once(whole, lambda name: played(whole, DRIFTS[name]))


def played(there: Quick, drift: Drift) -> Played:
    before = left(there)
    drift.damage(there)
    plan, mended, after = there.plan(*drift.stages), there.up(*drift.stages), left(there)
    return Played(before, plan, mended, after, there.plan(*drift.stages))


def left(there: Quick) -> list[str]:
    """What exists, but for what is not made again."""
    return [line for line in there.cloud.world.summary() if not NOT_AGAIN.search(line)]


REPEATED = {
    "the server's Service is gone": "the page's Deployment is gone",
    "the server's settings are edited": "the page is scaled to nothing",
    "the workloads' account is gone": "the namespace is gone", "the operator is gone": "the namespace is gone",
    "the nodes lost their role": "the nodes' account is gone", "the images are gone": "the registry is gone",
}  # fmt: skip
"""A drift that is mended as another one is, or as a part of it."""


def row(name: str) -> Any:
    marks = [pytest.mark.repeats(REPEATED[name])] if name in REPEATED else []
    return pytest.param(name, marks=marks)


every = pytest.mark.parametrize("name", [row(name) for name in DRIFTS])


@every
def test_fault_53_a_drift_is_shown_by_the_plan(play: Play, name: str) -> None:
    said, plan = play(name).plan.said, DRIFTS[name]
    assert re.search(".*".join(plan.shown), said, re.DOTALL), said


@every
def test_fault_53_a_plan_of_a_drift_exits_with_2_and_changes_nothing(play: Play, name: str) -> None:
    assert (play(name).plan.code, play(name).plan.writes) == (2, [])


@every
def test_fault_53_a_drift_is_mended_by_the_next_run_and_nothing_else_is_written(play: Play, name: str) -> None:
    mended, patterns = play(name).mended, DRIFTS[name].writes
    fits = [bool(re.fullmatch(pattern, write)) for pattern, write in zip(patterns, mended.writes, strict=False)]
    assert (mended.code, len(mended.writes), fits) == (0, len(patterns), [True] * len(patterns)), mended.said


@every
def test_fault_53_after_a_drift_was_mended_all_is_there_again(play: Play, name: str) -> None:
    assert play(name).after == play(name).before


@every
def test_fault_53_after_a_drift_was_mended_the_plan_is_empty(play: Play, name: str) -> None:
    assert play(name).then.code == 0, play(name).then.said


@pytest.mark.parametrize("stage", ["train", "serve", "ui"])
def test_fault_53_without_its_mark_no_stage_but_deploy_touches_the_cluster(whole: Quick, stage: str) -> None:
    restore = whole.restoring()
    kubectl("delete", "configmap", "pipeline-environment")(whole)
    told = whole.up(stage, changes=("training.steps=90", "serving.replicas=2", "web_ui.replicas=2"))
    restore()
    assert (told.code, told.writes) == (2, []), told.said
    assert "`invoke --env=staging deploy` has not been run" in told.error


def test_fault_53_a_cluster_that_is_gone_is_made_again_with_all_that_was_in_it(tmp_path: Path, version: Path) -> None:
    with quick(tmp_path, version, "deploy") as there:
        before = left(there)
        gcloud("container", "clusters", "delete", "mnist-staging", "--location=us-central1-c")(there)
        plan, mended = there.plan("deploy"), there.up("deploy")
        assert (plan.code, mended.code, left(there)) == (2, 0, before), mended.said


def test_nobody_was_asked_what_nobody_knows(whole: Quick) -> None:
    assert whole.cloud.state.unknown == []
