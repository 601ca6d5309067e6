"""What a pod's status says about it: statuses as a cluster writes them, and the words that a person gets."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.clusters import podstates

EVICTION = "The node was low on resource: ephemeral-storage. Threshold quantity: 5018372251, available: 4756428Ki. "
SHUTDOWN = "Pod was terminated in response to imminent node shutdown."
BACK_OFF = (
    "back-off 5m0s restarting failed container=tensorflow pod=mnist-serving-6f8d9c7b5-x2x7q_kubeflow"
    "(6a1c8f0e-5a53-4b0c-9f57-0f3f6f7f2a11)"
)
NOT_FOUND = (
    'Back-off pulling image "us-central1-docker.pkg.dev/p/mnist/train@sha256:5f1d": ErrImagePull: rpc error: '
    "code = NotFound desc = failed to pull and unpack image: not found"
)
NO_NODE = (
    "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No preemption victims found "
    "for incoming pod."
)
STARTED = {"startedAt": "2026-07-01T09:00:00Z", "finishedAt": "2026-07-01T09:01:00Z", "containerID": "containerd://5f"}
SCHEDULED = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}


def pod(phase: str = "Running", *statuses: dict[str, Any], **status: Any) -> dict[str, Any]:
    """A pod with its containers' statuses; `init` are those of the containers that prepare."""
    init = status.pop("init", [])
    described = {"phase": phase, "qosClass": "Guaranteed", "conditions": [SCHEDULED], **status}
    if statuses:
        described["containerStatuses"] = list(statuses)
    if init:
        described["initContainerStatuses"] = init
    return {"metadata": {"name": "a-pod", "namespace": "kubeflow"}, "spec": {}, "status": described}


def container(state: dict[str, Any], last: dict[str, Any] | None = None, restarts: int = 0) -> dict[str, Any]:
    return {
        "name": "tensorflow", "image": "example.org/train", "imageID": "", "ready": False, "started": False,
        "restartCount": restarts, "state": state, "lastState": last or {},
    }  # fmt: skip


def waiting(reason: str, message: str = "", last: dict[str, Any] | None = None) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    return container(state, last, restarts=4 if last else 0)


def terminated(code: int, reason: str, **more: str) -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, **STARTED, **more}}


RUNS = container({"running": {"startedAt": "2026-07-01T09:00:00Z"}})


@pytest.mark.parametrize(
    "well",
    [
        pytest.param({"metadata": {"name": "a-pod"}}, id="just made"),
        pytest.param(pod("Pending"), id="not looked at by the kubelet"),
        pytest.param(pod("Pending", waiting("ContainerCreating")), id="being made"),
        pytest.param(pod("Pending", waiting("PodInitializing"), init=[RUNS]), id="being prepared"),
        pytest.param(pod("Running", RUNS), id="running"),
        pytest.param(pod("Running", container(RUNS["state"], terminated(1, "Error"), 1)), id="running again"),
        pytest.param(pod("Succeeded", container(terminated(0, "Completed"))), id="succeeded"),
    ],
)
def test_a_pod_that_is_on_its_way_is_no_trouble(well: dict[str, Any]) -> None:
    assert podstates.trouble(well) is None


@pytest.mark.parametrize("reason", sorted(podstates.HOPELESS))
def test_what_does_not_pass_by_itself_is_hopeless(reason: str) -> None:
    found = podstates.trouble(pod("Pending", waiting(reason, "its message")))
    assert found == podstates.Trouble("a-pod", reason, "its message", hopeless=True)


def test_fault_46_an_image_that_cannot_be_pulled_is_told_in_the_clusters_words() -> None:
    assert str(podstates.trouble(pod("Pending", waiting("ImagePullBackOff", NOT_FOUND)))) == (
        f"a-pod: ImagePullBackOff: {NOT_FOUND}"
    )


def test_a_container_that_prepares_can_be_the_trouble() -> None:
    stuck = pod("Pending", waiting("PodInitializing"), init=[waiting("ErrImagePull", NOT_FOUND)])
    assert "ErrImagePull" in str(podstates.trouble(stuck))


def test_a_crash_loop_is_told_by_how_the_container_ended_not_by_how_long_the_pause_is() -> None:
    stuck = pod("Running", waiting("CrashLoopBackOff", BACK_OFF, terminated(137, "OOMKilled")))
    assert str(podstates.trouble(stuck)) == "a-pod: CrashLoopBackOff: ended with 137 (OOMKilled)"


def test_a_pod_without_a_node_is_trouble_that_an_autoscaler_may_end() -> None:
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_NODE}
    found = podstates.trouble(pod("Pending", conditions=[unscheduled]))
    assert found == podstates.Trouble("a-pod", "Unschedulable", NO_NODE, hopeless=False)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("Evicted", EVICTION), ("Terminated", SHUTDOWN), ("NodeShutdown", "Pod was rejected: node is shutting down"),
        ("OutOfcpu", "Node didn't have enough resource: cpu, requested: 2000, used: 3510, capacity: 3920"),
    ],
)  # fmt: skip
def test_fault_48_a_pod_that_its_node_ended_is_told_and_another_one_may_take_its_place(
    reason: str, message: str
) -> None:
    found = podstates.trouble(pod("Failed", reason=reason, message=message))
    assert found == podstates.Trouble("a-pod", reason, message.strip(), hopeless=False)


def test_a_pod_whose_node_is_lost_is_told_though_it_seems_to_run() -> None:
    lost = pod("Running", RUNS, reason="NodeLost", message="Node gke-1 which was running pod a-pod is unresponsive")
    assert str(podstates.trouble(lost)) == f"a-pod: NodeLost: {lost['status']['message']}"


def test_fault_48_evicted_is_named() -> None:
    assert podstates.failure(pod("Failed", reason="Evicted", message=EVICTION)) == f"was Evicted: {EVICTION}".strip()


def test_fault_49_a_node_that_was_taken_away_is_named_though_the_container_left_a_code() -> None:
    ended = pod("Failed", container(terminated(143, "Error")), reason="Terminated", message=SHUTDOWN)
    assert podstates.failure(ended) == f"was Terminated: {SHUTDOWN}"


def test_fault_48_out_of_memory_is_named() -> None:
    ended = pod("Failed", container(terminated(137, "OOMKilled")))
    assert podstates.failure(ended) == "ended with 137 (OOMKilled)"


def test_a_program_that_failed_is_told_by_its_code_alone() -> None:
    assert podstates.failure(pod("Failed", container(terminated(1, "Error")))) == "ended with 1"


def test_a_containers_own_last_message_is_told() -> None:
    ended = pod("Failed", container(terminated(2, "Error", message="no such folder")))
    assert podstates.failure(ended) == "ended with 2 no such folder"


def test_a_container_that_was_started_again_is_told_by_how_it_ended_before() -> None:
    again = pod("Running", container(RUNS["state"], terminated(137, "OOMKilled"), 1))
    assert podstates.failure(again) == "ended with 137 (OOMKilled)"


def test_a_failed_pod_that_says_nothing_has_failed() -> None:
    assert podstates.failure(pod("Failed")) == "failed"


def test_a_pod_that_ended_well_has_not_failed() -> None:
    assert podstates.failure(pod("Succeeded", container(terminated(0, "Completed")))) == ""


@pytest.mark.parametrize(("status", "ready"), [("True", True), ("False", False), ("Unknown", False)])
def test_a_pod_is_ready_when_its_condition_holds(status: str, ready: bool) -> None:
    assert podstates.ready(pod("Running", RUNS, conditions=[{"type": "Ready", "status": status}])) is ready


def test_a_pod_without_conditions_is_not_ready() -> None:
    assert not podstates.ready({"metadata": {"name": "a-pod"}})


@pytest.mark.parametrize(
    ("manifest", "selector"),
    [
        ({"kind": "TFJob", "metadata": {"name": "train-1"}}, "training.kubeflow.org/job-name=train-1"),
        ({"kind": "Job", "metadata": {"name": "preflight-1"}}, "job-name=preflight-1"),
        ({"kind": "Deployment", "spec": {"selector": {"matchLabels": {"app": "x", "tier": "y"}}}}, "app=x,tier=y"),
    ],
)
def test_a_workloads_pods_are_found_by_the_labels_that_its_controller_gives_them(
    manifest: dict[str, Any], selector: str
) -> None:
    assert podstates.selector(manifest) == selector
