"""Bringing everything up where every one of its writes fails once: going on comes to the same as never stopping.

A chain of runs fails at every write once, and at all that would follow it: the next run makes that write and fails at
the one after, so before each the cloud is as an undisturbed run has it there, and the last run completes; without
`--every` it is each fifth write. Answers are lost for every write of one chain, each run of which tries again by itself
where it may. What one apply sends besides a write that fails is seen while deploying.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import pytest

from pipeline.stages import STAGES
from tests.gke.breaking_off import Breaking, changed_once, enough, plain, stage_of, until_done, way_on
from tests.gke.flows import Flow, Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
"""A fixture here is a chain of about thirty runs."""


@pytest.fixture(scope="module")
def failing(new_flow: Callable[[str], Flow], stride: int) -> tuple[Flow, list[Run]]:
    """Runs that fail, each at the next write, and one that completes; then a whole run and a plan."""
    flow = new_flow("failing")
    runs = until_done(Breaking(flow.cloud, stride).fails, *STAGES)
    flow.run("again", "all")
    flow.run("plan", "plan")
    return flow, runs


def test_an_undisturbed_run_makes_more_than_twenty_writes(undisturbed: Run) -> None:
    assert (undisturbed.code, len(undisturbed.writes) > 20) == (0, True), undisturbed.said


def test_fault_37_every_write_can_fail(undisturbed: Run, failing: tuple[Flow, list[Run]], stride: int) -> None:
    *broken, last = [run.code for run in failing[1]]
    assert (set(broken), last) == ({1}, 0), failing[1][-1].said
    assert enough(len(broken), len(undisturbed.writes), stride), failing[1][-1].said


def test_fault_37_every_failure_is_told_without_a_traceback(failing: tuple[Flow, list[Run]]) -> None:
    assert [run.said for run in failing[1] if "Traceback" in run.said] == []


def test_fault_37_every_failure_is_told_with_the_tools_own_words(failing: tuple[Flow, list[Run]]) -> None:
    words = re.compile("injected|denied: Permission")  # of every fake, and of docker for a registry's 403
    assert [run.said for run in failing[1][:-1] if not words.search(run.said)] == []


def test_fault_37_every_failure_says_to_go_on_with_its_stage(failing: tuple[Flow, list[Run]]) -> None:
    told = [(stage_of(run), way_on(run)[-1]) for run in failing[1][:-1]]
    assert [(stage, word) for stage, word in told if stage != word] == []


def test_fault_37_every_failure_says_in_which_environment_and_project_to_go_on(
    failing: tuple[Flow, list[Run]],
) -> None:
    places = {tuple(way_on(run)[:4]) for run in failing[1][:-1]}
    assert places == {("invoke", "--env=staging", "--set", "gcp.project=demo-project-1")}


def test_fault_37_going_on_after_every_failure_makes_each_write_once(
    undisturbed: Run, failing: tuple[Flow, list[Run]]
) -> None:
    assert changed_once(failing[1]) == changed_once([undisturbed])


def test_fault_37_going_on_after_every_failure_comes_to_the_same(
    undisturbed: Run, failing: tuple[Flow, list[Run]]
) -> None:
    assert plain(failing[1][-1].left) == plain(undisturbed.left)


def test_fault_37_all_that_was_made_in_pieces_is_unchanged_in_another_run(failing: tuple[Flow, list[Run]]) -> None:
    assert (failing[0]["again"].code, failing[0]["again"].writes) == (0, []), failing[0]["again"].said


def test_fault_37_a_plan_of_what_was_made_in_pieces_has_no_change(failing: tuple[Flow, list[Run]]) -> None:
    plan = failing[0]["plan"]
    assert (plan.code, plan.writes) == (0, []), plan.said


@pytest.fixture(scope="module")
def went_on(new_flow: Callable[[str], Flow]) -> tuple[Run, Run]:
    """All the stages, of which one fails, and the command that this says to go on with."""
    flow = new_flow("went on")
    broken = Breaking(flow.cloud).fails("all", pattern="fake/push")
    words = way_on(broken)
    return broken, flow.run("rest", *words[words.index("build") :])


def test_fault_37_a_failure_among_all_stages_says_to_go_on_with_it_and_the_rest(went_on: tuple[Run, Run]) -> None:
    assert (went_on[0].code, way_on(went_on[0])[-4:]) == (1, ["build", "train", "serve", "ui"])


def test_fault_37_the_command_to_go_on_with_completes(undisturbed: Run, went_on: tuple[Run, Run]) -> None:
    assert (went_on[1].code, plain(went_on[1].left)) == (0, plain(undisturbed.left)), went_on[1].said


def test_fault_41_writes_that_were_made_but_not_answered_are_not_made_twice(
    undisturbed: Run, new_flow: Callable[[str], Flow]
) -> None:
    flow = new_flow("lost")
    runs = until_done(partial(Breaking(flow.cloud).loses, drop=True), *STAGES)
    assert (runs[-1].code, plain(runs[-1].left)) == (0, plain(undisturbed.left)), runs[-1].said


def test_fault_52_what_one_apply_made_only_in_part_is_completed(
    undisturbed: Run, new_flow: Callable[[str], Flow], stride: int
) -> None:
    """kubectl goes on with the other objects of a file where one fails."""
    flow = new_flow("in part")
    runs = until_done(partial(Breaking(flow.cloud, stride).fails, once=True, pattern="kubernetes"), "deploy")
    runs.append(flow.run("all", "all"))
    assert (runs[-1].code, plain(runs[-1].left)) == (0, plain(undisturbed.left)), runs[-1].said


def test_nobody_was_asked_what_nobody_knows(failing: tuple[Flow, list[Run]]) -> None:
    assert failing[0].cloud.state.unknown == []
