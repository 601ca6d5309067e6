"""A cloud that fails for a moment, stays mute, or has no room: what is tried again, for how long, and what is said."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloud import Cloud
from fakes.world import World
from pipeline import cloud, config, hands, images, tools
from pipeline.answering import PAUSE, TRIES, carry_out
from pipeline.clusters import balancers
from pipeline.commands import Command
from pipeline.errors import RunFailed
from pipeline.execution import execute
from pipeline.processes import marked
from pipeline.settings import Settings
from tests.gke.quick import Quick, Told, quick

PROJECT = "GET cloudresourcemanager/v1/projects/demo-project-1$"
ACCOUNTS = "POST iam/v1/projects/demo-project-1/serviceAccounts$"
BUCKET = "demo-project-1-mnist-staging-bucket"
NEW_BUCKET = "POST storage/storage/v1/b$"
CLUSTERS = "POST container/v1/projects/demo-project-1/locations/us-central1-c/clusters$"
WAY_ON = r"(?m)^  go on with: invoke --env=staging .* deploy$"
ELSEWHERE = ("storage.bucket=another-name-1",)


class Momentary:
    """An empty project, commands that are run in it, and the pauses between tries, which nobody waits for."""

    def __init__(self, world: World, settings: Settings, pauses: list[float]) -> None:
        self.world, self.settings, self.pauses, self.said = world, settings, pauses, list[str]()
        world.enable()
        execute(tools.login(settings), settings.build, self.said.append)

    def run(self, command: Command) -> Any:
        return carry_out(command, self.said.append, hands.of(self.settings))

    def count(self, line: str) -> int:
        """How often this was requested."""
        return sum(1 for request in self.world.state.requests if request == line.removesuffix("$"))

    @property
    def project(self) -> Command:
        return cloud.project(self.settings)

    @property
    def account(self) -> Command:
        (make,) = cloud.account(self.settings, "nodes").make
        assert isinstance(make, Command)
        return make


@pytest.fixture
def momentary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Momentary]:
    pauses = list[float]()
    with World(tmp_path / "world") as world:
        for name, value in world.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("pipeline.settings.ROOT", tmp_path)
        monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=pauses.append))
        yield Momentary(world, config.load("staging", world.sets()).settings, pauses)
        assert world.state.unknown == []


@pytest.mark.parametrize("how", [{"status": 429}, {"status": 500}, {"status": 503}, {"drop": True}],
                         ids=["429", "500", "503", "dropped"])  # fmt: skip
def test_fault_41_a_question_that_fails_for_a_moment_is_asked_again(momentary: Momentary, how: dict[str, Any]) -> None:
    momentary.world.state.fault(PROJECT, times=2, **how)
    assert momentary.run(momentary.project)["projectId"] == "demo-project-1"
    assert (momentary.count(PROJECT), len(momentary.pauses)) == (3, 2)


def test_fault_41_each_try_is_told_with_the_tools_words(momentary: Momentary) -> None:
    momentary.world.state.fault(PROJECT, times=1, status=503)
    momentary.run(momentary.project)
    (line,) = momentary.said
    assert line.strip().startswith("ERROR: (gcloud.projects.describe) UNAVAILABLE: injected; try 2 of 5 in ")


def test_fault_41_what_goes_on_failing_is_given_up_after_five_tries_with_cause_and_remedy(momentary: Momentary) -> None:
    momentary.world.state.fault(PROJECT, times=99, status=503)
    with pytest.raises(
        RunFailed, match=r"UNAVAILABLE: injected\n  likely cause: the service failed for a moment; "
    ) as end:
        momentary.run(momentary.project)
    assert (end.value.code, momentary.count(PROJECT)) == (1, TRIES)


def test_fault_41_the_pauses_are_drawn_up_to_a_bound_that_doubles(momentary: Momentary) -> None:
    """Drawn, so that many who failed at the same moment do not come back at the same moment."""
    momentary.world.state.fault(PROJECT, times=99, status=429)
    for _ in range(2):
        with pytest.raises(RunFailed):
            momentary.run(momentary.project)
    first, second = momentary.pauses[: TRIES - 1], momentary.pauses[TRIES - 1 :]
    bounds = [min(20, PAUSE * 2**number) for number in range(TRIES - 1)]
    assert all(0 <= pause <= bound for pause, bound in zip(first + second, bounds * 2, strict=True))
    assert first != second


def test_fault_41_a_refusal_is_not_tried_again(momentary: Momentary) -> None:
    momentary.world.state.fault(PROJECT, times=99, status=403)
    with pytest.raises(RunFailed):
        momentary.run(momentary.project)
    assert momentary.count(PROJECT) == 1


@pytest.mark.parametrize("how", [{"status": 503}, {"drop": True}], ids=["503", "dropped"])
def test_fault_41_a_change_that_may_be_repeated_is_made_once_though_its_answer_was_lost(
    momentary: Momentary, how: dict[str, Any]
) -> None:
    momentary.world.state.fault(ACCOUNTS, done_first=True, **how)
    momentary.run(momentary.account)
    assert (momentary.count(ACCOUNTS), len(momentary.world.state.of("iam.accounts"))) == (2, 1)


@pytest.mark.parametrize("how", [{"status": 503}, {"status": 429}, {"drop": True}], ids=["503", "429", "dropped"])
def test_fault_41_a_build_is_not_begun_twice(momentary: Momentary, how: dict[str, Any]) -> None:
    momentary.world.add_bucket(BUCKET)
    momentary.world.state.fault("POST cloudbuild", times=99, **how)
    with pytest.raises(RunFailed, match="build train with Cloud Build: "):
        momentary.run(images.submit(momentary.settings, "train"))
    assert len([line for line in momentary.world.state.requests if line.startswith("POST cloudbuild")]) == 1


def test_fault_41_a_key_is_not_made_twice(momentary: Momentary) -> None:
    """Each try would leave a key that nobody has."""
    momentary.run(momentary.account)
    make = cloud.change(
        momentary.settings, "iam", "service-accounts", "keys", "create", str(momentary.settings.build / "key.json"),
        f"--iam-account={cloud.email(momentary.settings, 'nodes')}", doing="make a key", retry=False,
    )  # fmt: skip
    momentary.world.state.fault("POST iam/.*/keys$", times=99, status=503, done_first=True)
    with pytest.raises(RunFailed, match="the service failed for a moment"):
        momentary.run(make)
    assert [len(keys) for keys in momentary.world.state.of("iam.keys").values()] == [1]


@pytest.mark.timed
def test_fault_42_a_tool_that_waits_for_a_mute_service_is_stopped_with_all_that_it_started(
    momentary: Momentary,
) -> None:
    momentary.world.state.fault(PROJECT, times=99, delay=20)
    began = time.monotonic()
    with pytest.raises(RunFailed, match=r"no end after 1 s, so it was stopped: gcloud projects describe"):
        momentary.run(replace(momentary.project, timeout=1))
    assert time.monotonic() - began < 10
    assert (marked(momentary.settings.build), momentary.count(PROJECT)) == ([], 0)


@pytest.fixture
def empty(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Quick]:
    """An environment of which nothing is there yet; no pause between tries is waited for."""
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda seconds: None))
    yield Quick(cloud)
    assert cloud.state.unknown == []


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Quick]:
    """An environment with a cluster and images."""
    with quick(tmp_path_factory.mktemp("there"), version, "deploy", "build") as made:
        yield made


def completes(empty: Quick, failed: Told, *changes: str) -> None:
    """Run `deploy` again: it makes nothing that the run before has made, and a third time nothing at all."""
    again = empty.up("deploy", changes=changes)
    assert (again.code, {*failed.writes} & {*again.writes}) == (0, set()), again.said
    assert empty.up("deploy", changes=changes).writes == []


def test_fault_37_after_a_failure_the_same_command_makes_only_what_is_missing(empty: Quick) -> None:
    empty.cloud.state.fault(CLUSTERS, status=403)
    failed = empty.up("deploy")
    assert (failed.code, "injected" in failed.error) == (1, True), failed.said
    assert re.search(WAY_ON, failed.error)
    completes(empty, failed)


def test_fault_41_a_run_in_which_every_service_fails_for_a_moment_completes(empty: Quick) -> None:
    """Once at the first read and once at the first write, which is carried out all the same."""
    faults = [empty.cloud.state.fault("GET kubernetes/", drop=True)]
    for api in ("artifactregistry", "cloudresourcemanager", "container", "iam", "serviceusage", "storage"):
        faults.append(empty.cloud.state.fault(f"GET {api}/", status=503))
        faults.append(empty.cloud.state.fault(f"POST {api}/", writes=True, done_first=True, status=503))
    done = empty.up("deploy")
    assert done.code == 0, done.said
    assert [fault.pattern for fault in faults if fault.times] == []
    assert empty.up("deploy").writes == []


@pytest.mark.timed
def test_fault_42_a_mute_cluster_is_given_up_within_the_time_limit_and_not_asked_again(
    there: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tools.kubectl.__kwdefaults__, "limit", "1s")
    there.cluster.mute, began = True, time.monotonic()
    try:
        failed = there.up("deploy")
    finally:
        there.cluster.mute = False
    assert time.monotonic() - began < 30
    assert (failed.code, failed.writes) == (1, []), failed.said
    assert "likely cause: the cluster's API server does not answer; `invoke doctor`" in failed.error
    assert re.search(WAY_ON, failed.error)
    again = there.up("deploy")
    assert (again.code, again.writes) == (0, []), again.said


def test_fault_43_a_bucket_that_is_ours_already_is_used(empty: Quick) -> None:
    labels = {"managed-by": "kubeflow-mnist-pipeline", "part-of": "mnist-staging", "environment": "staging"}
    empty.cloud.world.add_bucket(BUCKET, labels=labels)
    done = empty.up("deploy")
    assert (done.code, [line for line in done.writes if line.endswith("/v1/b")]) == (0, []), done.said


def test_fault_43_a_bucket_of_somebody_in_the_project_is_refused_before_anything_is_made(empty: Quick) -> None:
    empty.cloud.world.add_bucket(BUCKET, labels={"environment": "staging"})
    refused = empty.up("deploy")
    assert (refused.code, [line for line in refused.writes if not line.startswith("POST serviceusage")]) == (2, [])
    assert (
        f"the bucket gs://{BUCKET} belongs to somebody else: it does not bear this pipeline's labels" in refused.error
    )
    assert "nothing was done to it: choose another name" in refused.error
    completes(empty, refused, *ELSEWHERE)


def test_fault_43_a_bucket_of_somebody_elsewhere_is_told_as_such(empty: Quick) -> None:
    empty.cloud.world.add_bucket(BUCKET, ours=False)
    refused = empty.up("deploy")
    assert refused.code == 1
    assert "likely cause: the bucket's name is somebody else's, or the account lacks" in refused.error
    assert re.search(WAY_ON, refused.error)
    completes(empty, refused, *ELSEWHERE)


def test_fault_44_a_quota_that_is_too_small_is_named_with_what_is_short(empty: Quick) -> None:
    empty.cloud.world.quota("CPUS", 1)
    failed = empty.up("deploy")
    assert failed.code == 1
    words = r"likely cause: the region's quota of CPUS: [\d.]+ wanted, [\d.]+ short; ask for less"
    assert re.search(words, failed.error)
    empty.cloud.world.quota("CPUS", 100)
    assert failed.writes.pop() == CLUSTERS.removesuffix("$")  # which was refused
    completes(empty, failed)


def test_fault_44_a_zone_without_machines_is_named_and_the_cluster_that_came_to_nothing_is_made_anew(
    empty: Quick,
) -> None:
    words = "The zone 'projects/demo-project-1/zones/us-central1-c' does not have enough resources available"
    empty.cloud.world.fail_next("CREATE_CLUSTER", f"ZONE_RESOURCE_POOL_EXHAUSTED: {words}")
    failed = empty.up("deploy")
    assert failed.code == 1
    assert "likely cause: the zone has no such machines left; take another zone: `--set gcp.zone=" in failed.error
    again = empty.up("deploy")
    assert again.code == 0, again.said
    assert [line.split()[0] for line in again.writes if " container/" in line] == ["DELETE", "POST"]
    assert empty.up("deploy").writes == []


BALANCED = ("web_ui.service_type=LoadBalancer", "web_ui.source_ranges=[203.0.113.0/24]")


def test_fault_45_an_address_that_never_comes_ends_the_wait_with_events_and_another_way_in(
    there: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert balancers.ADDRESS == {"service": 600, "ingress": 1200}
    monkeypatch.setitem(balancers.ADDRESS, "service", 30.0)
    there.cluster.fail("web-ui", "NoAddress", message="IP_SPACE_EXHAUSTED")
    failed = there.up("deploy", "ui", changes=BALANCED)
    assert (failed.code, 30 <= sum(failed.pauses) < 60) == (1, True), failed.said
    assert "Service web-ui has no address after 30 s" in failed.error
    assert re.findall(r"(?m)^  \| (\w+)", failed.error) == ["EnsuringLoadBalancer", "SyncLoadBalancerFailed"]
    assert "`invoke --env=staging open` leads to the page without it, by a port-forward" in failed.error
    there.cluster.heal()
    del there.cluster.objects["services/kubeflow/web-ui"]  # the fake does not try again what it has given up
    again = there.up("deploy", "ui", changes=BALANCED)
    assert again.code == 0, again.said
    assert re.search(r"ui +[\d.]+ s  .*http://[\d.]+", again.said)


@pytest.mark.parametrize("line", [CLUSTERS, NEW_BUCKET], ids=["gcloud", "the client library"])
def test_fault_51_a_token_that_expires_in_the_middle_is_renewed(empty: Quick, line: str) -> None:
    empty.cloud.state.fault(line, then=lambda request: empty.cloud.world.login.expire_tokens())
    done = empty.up("deploy")
    assert done.code == 0, done.said
    assert empty.cloud.state.requests.count(line.removesuffix("$")) == 2


@pytest.mark.parametrize("line", [CLUSTERS, NEW_BUCKET], ids=["gcloud", "the client library"])
def test_fault_51_a_login_that_ends_in_the_middle_is_told_and_the_run_after_the_next_login_goes_on(
    empty: Quick, line: str
) -> None:
    empty.cloud.state.fault(line, then=lambda request: empty.cloud.world.login.end())
    failed = empty.up("deploy")
    assert failed.code == 1
    assert "likely cause: the login has expired; `gcloud auth login`, then the same command again" in failed.error
    assert re.search(WAY_ON, failed.error)
    empty.cloud.world.login.begin()
    assert failed.writes.pop() == line.removesuffix("$")  # which was refused
    completes(empty, failed)
