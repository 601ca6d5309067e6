"""Two settings that do not fit each other are refused at the one to change, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import config
from tests.pipeline.breaking import append, refusal

IAP = "iap.enabled=true iap.members=[user:ann@example.org]"
EXISTING = "cluster.kind=existing cluster.context=kind-mine identity=key-secret"

REFUSED = {
    "cluster.kind=existing identity=key-secret": (
        "cluster.context", "an existing cluster is known by its context; `kubectl config get-contexts` lists them"
    ),
    "cluster.context=kind-mine": (
        "cluster.context", 'gke makes its own; leave it null, or write cluster.kind "existing"'
    ),
    "cluster.nodes=4": ("cluster.nodes", "4 are more than cluster.max_nodes 3"),
    "cluster.max_nodes=1": ("cluster.nodes", "2 are more than cluster.max_nodes 1"),
    "cluster.kind=existing cluster.context=kind-mine": (
        "identity", "only GKE has Workload Identity; write key-secret for an existing cluster"
    ),
    f"name={'a' * 25}": (
        "name", 'has 25 characters; 24 at most leave room for "-nodes" in an account\'s id'
    ),
    "storage.kind=folder": ("storage.kind", "a pod cannot reach a folder of this machine; write gcs"),
    f"{EXISTING} storage.kind=folder": ("storage.kind", "a pod cannot reach a folder of this machine; write gcs"),
    "web_ui.source_ranges=[203.0.113.0/24]": (
        "web_ui.source_ranges",
        "only a LoadBalancer looks where people come from; write web_ui.service_type too",
    ),
    "iap.enabled=true": ("iap.members", "nobody could enter; name somebody, such as user:ann@example.org"),
    f"{IAP} web_ui.service_type=LoadBalancer": (
        "web_ui.service_type", "a LoadBalancer would lead past the login of iap.enabled; write ClusterIP"
    ),
    f"{EXISTING} {IAP}": (
        "iap.enabled", "only GKE has Google's login before its pages, and cluster.kind is existing"
    ),
    f"{IAP} gcp.project=a23456789-123456789-123456789a name=mnist-staging-one": (
        "name",
        "makes the page mnist-staging-one.endpoints.a23456789-123456789-123456789a.cloud.goog, 69 characters; "
        "a certificate is for 63 at most",
    ),
    "training.parameter_servers=1": (
        "training.parameter_servers", "the chief only deals out the work; write training.workers from 1 too"
    ),
    "training.workers=1 training.parameter_servers=1 training.global_batch=scale": (
        "training.global_batch", "with parameter servers each worker has whole batches of its own; write keep"
    ),
    "training.workers=1 training.parameter_servers=1 training.gpus=2": (
        "training.gpus", "with parameter servers a worker uses one GPU; write 1, and more training.workers"
    ),
    "training.workers=2 training.gpus=2 training.batch_size=5": (
        "training.batch_size", "5 images cannot be shared among 6 that learn in step"
    ),
    "serving.replicas=3 serving.max_replicas=2": (
        "serving.max_replicas", "2 are less than serving.replicas 3"
    ),
    f"{EXISTING} serving.managed_prometheus=true": (
        "serving.managed_prometheus", "only GKE brings a Prometheus, and cluster.kind is existing; write false"
    ),
    "notebook.bind=0.0.0.0": (
        "notebook.bind", '"0.0.0.0" lets the whole cluster into a notebook without a password; write 127.0.0.1'
    ),
}  # fmt: skip
"""What is asked of `staging`, and how it is refused."""

ACCEPTED = (
    EXISTING,
    IAP,
    f"name={'a' * 24}",
    f"{EXISTING} name={'a' * 25}",
    "cluster.nodes=3",
    "web_ui.service_type=LoadBalancer",
    "web_ui.service_type=LoadBalancer web_ui.source_ranges=[203.0.113.0/24]",
    "notebook.bind=localhost",
    "host=ann@build.example.org",
    "training.gpus=1 cluster.autopilot=true",
    "serving.replicas=3 serving.max_replicas=3",
    f"{EXISTING} serving.kind=kserve serving.gpus=1 serving.callers=[istio-system]",
    "identity=key-secret",
    "training.workers=2 training.gpus=2 training.batch_size=6",
    "training.workers=2 training.batch_size=1 training.global_batch=scale",
    "training.workers=2 training.parameter_servers=1 training.batch_size=1 training.gpus=1 training.evaluator=true",
)


def told(message: str, key: str) -> list[str]:
    """What a refusal says about a setting, given or not."""
    lines = [line.partition(f" {key}") for line in message.splitlines()]
    return [after.partition(": ")[2] for _, found, after in lines if found]


@pytest.mark.parametrize("changes", REFUSED)
def test_settings_that_do_not_fit_are_refused_at_the_one_to_change(changes: str) -> None:
    key, sentence = REFUSED[changes]
    assert told(refusal("staging", None, *changes.split()), key) == [sentence]


@pytest.mark.parametrize("changes", ACCEPTED)
def test_settings_that_fit_load(changes: str) -> None:
    config.load("staging", changes.split())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "host=ann@build.example.org",
            "the local environment runs on this machine; leave it null, or log in there and run it there",
        ),
        ("training.gpus=1", "a training on this machine uses its processors only; leave it null"),
        ("serving.kind=kserve", "this machine has no KServe; write deployment"),
        ("serving.max_replicas=2", "one machine runs one server; leave it null"),
        ("serving.gpus=1", "the embedded server uses this machine's processors only; leave it null"),
        ("cluster.context=mine", 'local makes its own; leave it null, or write cluster.kind "existing"'),
    ],
)
def test_what_only_a_cluster_can_do_is_refused_on_this_machine(change: str, sentence: str) -> None:
    assert refusal("local", None, change) == f"--set {change}: {sentence}"


@pytest.mark.parametrize(
    ("written", "key", "offset"),
    [
        ("cluster:\n  nodes: 9\n", "cluster.nodes", 1),
        ("storage:\n  kind: folder\n", "storage.kind", 1),
        ("iap:\n  enabled: true\n  members: []\n", "iap.members", 2),
        ("notebook:\n  bind: 0.0.0.0\n", "notebook.bind", 1),
    ],
)
def test_fault_15_a_conflict_names_the_file_and_line_of_the_setting(
    folder: Path, written: str, key: str, offset: int
) -> None:
    line = append(folder / "staging.yaml", written) + offset
    assert refusal("staging", folder).startswith(f"config/staging.yaml:{line} {key}: ")
