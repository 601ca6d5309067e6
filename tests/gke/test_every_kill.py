"""Bringing everything up where invoke is killed at every write: the next start goes on, and nothing is left running.

A chain of runs is killed at every write once. The write is carried out, though nobody is left to hear of it, and the
next run is killed at the one after, or without `--every` at the fifth after; the last completes. All that runs here is
killed, as where a machine loses its power; what goes on where only invoke is killed is ended by the next start.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from psutil import Process

from pipeline.stages import STAGES
from tests.gke.breaking_off import KILLED, Breaking, changed_once, enough, kill_all, left_running, plain, until_done
from tests.gke.flows import Flow, Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
"""A fixture here is a chain of about thirty runs."""

WORKLOADS = "kubernetes/mnist-staging/apis"
HANGING = {
    "gcloud": "POST container/.*/clusters$", "docker": "POST artifactregistry/fake/push",
    "kubectl": f"POST {WORKLOADS}/kubeflow.org/v1/namespaces/kubeflow/tfjobs",
}  # fmt: skip
"""Who sends it → a write that it hangs at."""


@pytest.fixture(scope="module")
def killed(new_flow: Callable[[str], Flow], stride: int) -> tuple[Flow, list[Run]]:
    """Runs that are killed, each at the next write, and one that completes."""
    flow = new_flow("killed")
    return flow, until_done(partial(Breaking(flow.cloud, stride).dies, kill=kill_all), *STAGES)


@pytest.fixture(scope="module")
def orphaned(new_flow: Callable[[str], Flow]) -> tuple[Flow, dict[str, list[str]], dict[str, Run]]:
    """Runs of which only invoke itself is killed, while a tool hangs; what ran then; and the run after each."""
    flow, orphans, after = new_flow("orphaned"), dict[str, list[str]](), dict[str, Run]()
    hanging = ""
    for tool, pattern in HANGING.items():
        run = Breaking(flow.cloud).dies("all", kill=Process.kill, pattern=pattern, delay=8)
        orphans[tool] = left_running(flow.cloud)
        after |= {hanging: run} if hanging else {}
        hanging = tool
    after[hanging] = flow.run("last", "all")
    return flow, orphans, after


def test_fault_28_a_run_can_be_killed_at_every_write(
    undisturbed: Run, killed: tuple[Flow, list[Run]], stride: int
) -> None:
    *broken, last = [run.code for run in killed[1]]
    assert (set(broken), last) == ({KILLED}, 0), killed[1][-1].said
    assert enough(len(broken), len(undisturbed.writes), stride), killed[1][-1].said


def test_fault_28_runs_that_are_killed_at_every_write_make_each_once(
    undisturbed: Run, killed: tuple[Flow, list[Run]]
) -> None:
    assert changed_once(killed[1]) == changed_once([undisturbed])


def test_fault_28_runs_that_are_killed_at_every_write_come_to_the_same(
    undisturbed: Run, killed: tuple[Flow, list[Run]]
) -> None:
    assert plain(killed[1][-1].left) == plain(undisturbed.left)


def test_fault_28_nothing_runs_on_after_runs_that_were_killed(killed: tuple[Flow, list[Run]]) -> None:
    assert left_running(killed[0].cloud) == []


@pytest.mark.parametrize("tool", HANGING)
def test_fault_39_a_tool_outlives_a_killed_run(
    tool: str, orphaned: tuple[Flow, dict[str, list[str]], dict[str, Run]]
) -> None:
    assert [tool in line for line in orphaned[1][tool]] == [True]


@pytest.mark.parametrize("tool", HANGING)
def test_fault_39_the_next_start_ends_the_tool_and_says_so(
    tool: str, orphaned: tuple[Flow, dict[str, list[str]], dict[str, Run]]
) -> None:
    assert "ended 1 process that an earlier run had left behind" in orphaned[2][tool].said


def test_fault_39_after_the_tools_were_ended_all_comes_to_the_same(
    undisturbed: Run, orphaned: tuple[Flow, dict[str, list[str]], dict[str, Run]]
) -> None:
    flow = orphaned[0]
    assert (flow["last"].code, plain(flow["last"].left)) == (0, plain(undisturbed.left)), flow["last"].said


def test_nothing_runs_on_after_tools_were_ended(orphaned: tuple[Flow, dict[str, list[str]], dict[str, Run]]) -> None:
    assert left_running(orphaned[0].cloud) == []


def test_nobody_was_asked_what_nobody_knows(killed: tuple[Flow, list[Run]]) -> None:
    assert killed[0].cloud.state.unknown == []
