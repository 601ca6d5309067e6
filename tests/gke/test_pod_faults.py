"""What goes wrong with the pods of a cluster: named at once, with what to do; and the run after that completes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.clusters.workloads import POLL
from tests.gke.quick import Quick, Told, played_once, quick

KUBERNETES = "kubernetes/mnist-staging/"
INSIDE = f"{KUBERNETES}api/v1/namespaces/kubeflow"
AFTER_THE_SERVER = [
    f"POST {INSIDE}/services", f"POST {KUBERNETES}apis/policy/v1/namespaces/kubeflow/poddisruptionbudgets",
    f"POST {KUBERNETES}apis/networking.k8s.io/v1/namespaces/kubeflow/networkpolicies",
]  # fmt: skip
"""What `serve` makes after the server."""
JOBS = f"{KUBERNETES}apis/batch/v1/namespaces/kubeflow/jobs"
TFJOBS = f"{KUBERNETES}apis/kubeflow.org/v1/namespaces/kubeflow/tfjobs"
CRDS = "customresourcedefinitions.apiextensions.k8s.io"

TRAINING, PREFLIGHT, SERVER = r"train-\d+", r"preflight-\d+", "mnist-serving"
SAID = [
    *(f"step = {number}/2000, loss = 0.3" for number in range(30)),
    "Could not write /data: No space left on device.",
]
LOG = "\n".join(json.dumps({"time": "now", "severity": "INFO", "message": line}) for line in SAID)
"""What a trainer says in a pod, and how that stands in the pod's log."""
DENIED = (
    "preflight, write: PermissionDenied: 403 storage.objects.create denied; the service account needs "
    "roles/storage.objectUser on the bucket"
)
AT_ONCE, A_MINUTE = 5, 60
"""Seconds of pauses: a look or two; the most that a pod which cannot start may take."""

Break = Callable[[Quick], object]


@dataclass(frozen=True)
class Scene:
    """What goes wrong, in which stages, and what is run once all is well."""

    breaks: Break
    stages: tuple[str, ...] = ("train",)
    before: tuple[str, ...] = ()
    repair: tuple[str, ...] = ()
    poll: float = 5 * POLL


@dataclass(frozen=True)
class Played:
    """A scene's runs: the one that met the fault, a plan, the one when all was well, and the same once more."""

    first: Told
    bucket: list[str]
    plan: Told
    repaired: Told
    again: Told

    @property
    def tag(self) -> str:
        made = re.search(r"train-(\d{10})", self.first.said)
        assert made, self.first.said
        return made[1]


def meets(pattern: str, reason: str, log: str = "", times: int | None = None) -> Break:
    """Pods that meet a reason's fate."""
    return lambda there: there.cluster.fail(pattern, reason, log=log, times=times)


def loses_its_image(there: Quick) -> None:
    """The images are gone from the registry when the first pod wants one."""
    lost = there.cloud.state.of("artifactregistry.images")
    there.cloud.state.fault(f"POST {JOBS}", writes=True, then=lambda *_: lost.clear())


def loses_the_operator(there: Quick) -> None:
    """The cluster does not know TFJobs any more."""
    with there.cloud.state.lock:
        (crd,) = [one for one in there.cluster.of(CRDS) if one["metadata"]["name"] == "tfjobs.kubeflow.org"]
        there.cluster.delete(CRDS, crd)


def refuses(skip: int) -> Break:
    """One of the cluster's new objects is refused, after so many that are not."""
    return lambda there: there.cloud.state.fault(f"POST {KUBERNETES}", writes=True, status=403, skip=skip)


SERVED = {"stages": ("serve",), "before": ("train",)}
SCENES = {
    "image lost": Scene(loses_its_image, repair=("build",), poll=POLL),
    "training hangs": Scene(meets(TRAINING, "ImagePullBackOff")),
    "server hangs": Scene(meets(SERVER, "ImagePullBackOff"), **SERVED),
    "training failed": Scene(meets(TRAINING, "Failed", LOG)),
    "out of memory": Scene(meets(TRAINING, "OOMKilled")),
    "server out of memory": Scene(meets(SERVER, "OOMKilled"), **SERVED),
    "evicted": Scene(meets(TRAINING, "Evicted")),
    "node always taken": Scene(meets(TRAINING, "Preempted", times=99)),
    "no operator": Scene(loses_the_operator, repair=("deploy",)),
    "first refused": Scene(refuses(0), **SERVED),
    "second refused": Scene(refuses(1), **SERVED),
    "no access": Scene(meets(PREFLIGHT, "Failed", DENIED), repair=("deploy",)),
}  # fmt: skip


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Quick]:
    with quick(tmp_path_factory.mktemp("pods"), version, "deploy", "build") as made:
        yield made


Play = Callable[[str], Played]


@pytest.fixture(scope="module")
def play(deployed: Quick) -> Play:
    return played_once(deployed, lambda name: played(deployed, SCENES[name]))


def played(there: Quick, scene: Scene) -> Played:
    if scene.before:
        there.up(*scene.before)
    scene.breaks(there)
    there.poll = scene.poll
    first, bucket, plan = there.up(*scene.stages), list(there.bucket), there.plan(*scene.stages)
    there.cluster.heal()
    if scene.repair:
        there.up(*scene.repair)
    return Played(first, bucket, plan, there.up(*scene.stages), there.up(*scene.stages))


@pytest.fixture
def there(deployed: Quick) -> Iterator[Quick]:
    """An environment with a cluster and images, and nothing trained yet; what a test does there is undone."""
    restore = deployed.restoring()
    yield deployed
    restore()


# Every scene

HALF = pytest.param("first refused", marks=pytest.mark.repeats("second refused"))
every = pytest.mark.parametrize("name", [HALF if name in HALF.values else name for name in SCENES])


@every
def test_a_fault_of_the_pods_ends_the_run_with_1(play: Play, name: str) -> None:
    assert play(name).first.code == 1, play(name).first.said


@every
def test_a_fault_of_the_pods_is_told_with_the_command_to_go_on_with(play: Play, name: str) -> None:
    stage = SCENES[name].stages[0]
    assert re.search(rf"\n  go on with: invoke --env=staging --set .* {stage}\n", play(name).first.error)


@every
def test_a_plan_after_a_fault_of_the_pods_changes_nothing(play: Play, name: str) -> None:
    assert play(name).plan.writes == []


@every
def test_the_run_after_a_fault_of_the_pods_completes(play: Play, name: str) -> None:
    assert play(name).repaired.code == 0, play(name).repaired.said


@every
def test_another_run_after_a_fault_of_the_pods_changes_nothing(play: Play, name: str) -> None:
    assert (play(name).again.code, play(name).again.writes) == (0, []), play(name).again.said


# 46: pods that cannot start


def test_fault_46_an_image_that_is_not_there_fails_within_a_minute(play: Play) -> None:
    """By the pauses that it made between its looks, which are the true ones here."""
    assert AT_ONCE < sum(play("image lost").first.pauses) <= A_MINUTE


def test_fault_46_the_reason_is_told_with_the_image(play: Play) -> None:
    error = play("image lost").first.error
    assert re.search(r"ImagePullBackOff: .*mnist-staging/train@sha256:\w{64}: not found", error), error


def test_fault_46_the_way_to_the_image_is_told(play: Play) -> None:
    assert "likely cause: the nodes cannot get an image; `invoke build` pushes it" in play("image lost").first.error


def test_fault_46_without_its_image_no_run_is_noted_down(play: Play) -> None:
    assert play("image lost").bucket == []


def test_fault_46_a_training_that_hangs_is_started_anew_by_the_next_run(play: Play) -> None:
    """The cluster itself would try only minutes later, and this run would give up before."""
    tag = play("training hangs").tag
    assert play("training hangs").repaired.writes == [f"DELETE {TFJOBS}/train-{tag}", f"POST {TFJOBS}"]


def test_fault_46_a_servers_pod_that_hangs_is_started_anew_by_the_next_run(play: Play) -> None:
    (write,) = play("server hangs").repaired.writes
    assert write.startswith(f"DELETE {INSIDE}/pods/mnist-serving-")


def test_fault_46_the_plan_has_the_pod_that_hangs(play: Play) -> None:
    plan = play("server hangs").plan
    assert re.search("run +delete pod mnist-serving-.*, which hangs in ImagePullBackOff", plan.said), plan.said
    assert (plan.code, "plan: 1 change;" in plan.said) == (2, True)


# 47: trainings that fail


def test_fault_47_a_training_that_failed_is_told_at_once(play: Play) -> None:
    assert sum(play("training failed").first.pauses) < AT_ONCE


def test_fault_47_the_operators_reason_and_the_pods_exit_code_are_told(play: Play) -> None:
    said = r"train-(\d+): TFJobFailed: .* because 1 Chief replica\(s\) failed\.\n  train-\1-chief-0 ended with 1\n"
    assert re.search(said, play("training failed").first.error), play("training failed").first.error


def test_fault_47_the_last_twenty_lines_of_the_log_are_told(play: Play) -> None:
    told = re.findall(r"^  \| (.*)$", play("training failed").first.error, re.MULTILINE)
    assert told == SAID[-20:]


def test_fault_47_a_likely_cause_is_read_from_the_log(play: Play) -> None:
    assert "likely cause: the disk is full" in play("training failed").first.error


def test_fault_47_a_failed_training_is_run_again_with_its_tag(play: Play) -> None:
    scene = play("training failed")
    assert scene.repaired.writes == [f"DELETE {TFJOBS}/train-{scene.tag}", f"POST {TFJOBS}"]
    assert f"go on with version {scene.tag}: run {scene.tag} was begun from the same inputs" in scene.repaired.said


def test_fault_47_the_plan_has_the_failed_training(play: Play) -> None:
    scene = play("training failed")
    assert f"delete tfjob train-{scene.tag}, which cannot be run again" in scene.plan.said


# 48: pods that are ended


def test_fault_48_out_of_memory_is_named_and_so_is_the_setting(play: Play) -> None:
    error = play("out of memory").first.error
    assert "-chief-0 ended with 137 (OOMKilled)\n" in error
    assert "likely cause: the container took more memory than its limit; raise it: `--set training.memory=" in error


def test_fault_48_a_server_out_of_memory_is_named(play: Play) -> None:
    assert "CrashLoopBackOff: ended with 137 (OOMKilled)" in play("server out of memory").first.error


def test_fault_48_a_training_with_more_memory_goes_on_with_its_tag(there: Quick) -> None:
    there.cluster.fail(TRAINING, "OOMKilled")
    first = there.up("train")
    there.cluster.heal()
    again = there.up("train", changes=("training.memory=8Gi",))
    (tag,) = there.tags
    assert (again.code, f"train-{tag}: " in first.error) == (0, True), again.said


def test_fault_48_evicted_is_named_with_the_nodes_words(play: Play) -> None:
    error = play("evicted").first.error
    assert "-chief-0 was Evicted: The node was low on resource: memory." in error
    assert "likely cause: the node ran short and sent the pod away" in error


def test_fault_48_an_evicted_training_goes_on_elsewhere(there: Quick) -> None:
    there.cluster.fail(TRAINING, "Evicted", times=1)
    told = there.up("train")
    assert (told.code, "was started again: it goes on from the last checkpoint" in told.said) == (0, True), told.said


# 49: nodes that are taken away


def test_fault_49_a_training_whose_node_is_taken_away_resumes_and_says_so(there: Quick) -> None:
    there.cluster.fail(TRAINING, "Preempted")
    told = there.up("train")
    (tag,) = there.tags
    assert (told.code, sum(told.pauses) < AT_ONCE) == (0, True), told.said
    assert (
        f"      train-{tag}-chief-0: Terminated: Pod was terminated in response to imminent node shutdown.\n"
        f"      train-{tag}-chief-0 was started again: it goes on from the last checkpoint\n"
    ) in told.said


def test_fault_49_a_training_that_loses_every_node_says_why(play: Play) -> None:
    assert "likely cause: the node was taken away, as Spot nodes are" in play("node always taken").first.error


# 50: no operator


def test_fault_50_without_the_operator_the_way_to_it_is_told(play: Play) -> None:
    error = play("no operator").first.error
    assert "the training operator is not in the cluster; `invoke deploy` installs it" in error


# 52: what was applied by half


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        pytest.param("first refused", "/configmaps", marks=HALF.marks),
        ("second refused", "/deployments"),
    ],
)
def test_fault_52_a_manifest_that_was_applied_by_half_is_completed_by_the_next_run(
    play: Play, name: str, refused: str
) -> None:
    made = [write for write in play(name).first.writes if write.startswith(f"POST {KUBERNETES}")]
    missing = play(name).repaired.writes
    assert [write.endswith(refused) for write in made] == [False]
    assert [write.endswith(refused) for write in missing[:1]] == [True]
    assert missing[1:] == AFTER_THE_SERVER


# Before a training


def test_a_workload_without_access_to_the_bucket_is_told_the_role(play: Play) -> None:
    assert "needs roles/storage.objectUser on the bucket" in play("no access").first.error


def test_a_workload_without_access_to_the_bucket_is_told_who_gives_it(play: Play) -> None:
    error = play("no access").first.error
    assert "likely cause: the workload lacks storage.objects.create on the bucket; `invoke deploy` gives it" in error


def test_without_access_to_the_bucket_nothing_is_noted_down_there(play: Play) -> None:
    assert (play("no access").bucket, play("no access").first.writes) == ([], [f"POST {JOBS}"])


def test_nobody_was_asked_what_nobody_knows(deployed: Quick) -> None:
    assert deployed.cloud.state.unknown == []
