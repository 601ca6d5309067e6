"""A cloud that fails for a moment, stays mute, or has no room: what is tried again, for how long, and what is said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fakes.world import World
from pipeline import cloud, config, hands, images, tools
from pipeline.answering import PAUSE, TRIES, carry_out
from pipeline.commands import Command
from pipeline.errors import RunFailed
from pipeline.execution import execute
from pipeline.processes import marked
from pipeline.settings import Settings

PROJECT = "GET cloudresourcemanager/v1/projects/demo-project-1$"
ACCOUNTS = "POST iam/v1/projects/demo-project-1/serviceAccounts$"
BUCKET = "gs://demo-project-1-mnist-staging-bucket"


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
    momentary.world.add_bucket(BUCKET.removeprefix("gs://"))
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


def test_fault_42_a_tool_that_waits_for_a_mute_service_is_stopped_with_all_that_it_started(
    momentary: Momentary,
) -> None:
    momentary.world.state.fault(PROJECT, times=99, delay=20)
    began = time.monotonic()
    with pytest.raises(RunFailed, match=r"no end after 1 s, so it was stopped: gcloud projects describe"):
        momentary.run(replace(momentary.project, timeout=1))
    assert time.monotonic() - began < 10
    assert (marked(momentary.settings.build), momentary.count(PROJECT)) == ([], 0)
