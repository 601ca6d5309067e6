"""Taking everything down, broken off at every one of its writes: cleaning again leaves nothing behind.

One environment is brought back as it was before each try. A write that fails: the rest goes all the same; without
`--every` it is one write of each kind. A killed run: its write is carried out, and the next run is killed at the one
after, or without `--every` at the fifth after.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.gke.breaking_off import KILLED, Breaking, enough, kept, kill_all, left_running, until_done, way_on
from tests.gke.flows import Flow, Run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
"""A fixture here is a chain of about thirty runs."""

CLEAN = ("clean", "--yes")

STAYS = {
    "DELETE kubernetes/.*/services/": set(), "DELETE container/": {"container.clusters", "kubernetes", "node"},
    "POST cloudresourcemanager/": {"binding", "iam.accounts"}, "POST artifactregistry/": {"iam.accounts"},
    "DELETE iam/": {"iam.accounts"}, "DELETE artifactregistry/": {"artifactregistry.repositories", "image"},
    "DELETE storage/.*/o/": {"binding", "object", "storage.buckets"},
    "DELETE storage/.*/b/[^/]+$": {"binding", "storage.buckets"},
}  # fmt: skip
"""A write that fails, and the kinds of what stays: an account until its roles are taken, a bucket with its objects."""


@pytest.fixture(scope="module")
def flow(new_flow: Callable[[str], Flow]) -> Flow:
    made = new_flow("clean")
    made.run("all", "all")
    return made


@pytest.fixture(scope="module")
def bring_back(flow: Flow) -> Iterator[Callable[[], None]]:
    with kept(flow.cloud) as bring_back:
        yield bring_back


@pytest.fixture(scope="module")
def undisturbed(flow: Flow, bring_back: Callable[[], None]) -> Run:
    bring_back()
    return flow.run("clean", *CLEAN)


Failing = list[tuple[str, Run, Run]]


@pytest.fixture(scope="module")
def failing(flow: Flow, undisturbed: Run, bring_back: Callable[[], None], stride: int) -> Failing:
    """Each write, the run in which it alone fails, and the command that this says to go on with."""
    breaking, found = Breaking(flow.cloud), list[tuple[str, Run, Run]]()
    for pattern in [""] * len(undisturbed.writes) if stride == 1 else STAYS:
        bring_back()
        first = breaking.fails(*CLEAN, once=True, pattern=pattern)
        words = way_on(first)
        found.append((breaking.met[-1].strip(), first, flow.run("again", *words[words.index("clean") :])))
    return found


@pytest.fixture(scope="module")
def killed(flow: Flow, undisturbed: Run, bring_back: Callable[[], None], stride: int) -> list[Run]:
    """Runs that are killed, each at the next write, and one that completes."""
    bring_back()
    return until_done(partial(Breaking(flow.cloud, stride).dies, *CLEAN, kill=kill_all))


def test_an_undisturbed_clean_leaves_nothing_behind(flow: Flow, undisturbed: Run) -> None:
    assert (undisturbed.code, undisturbed.left, len(undisturbed.writes) > 10) == (0, flow.empty, True), undisturbed.said


def test_fault_79_every_write_of_clean_can_fail(failing: Failing) -> None:
    assert [first.said for _, first, _ in failing if first.code != 1] == []


def test_fault_79_what_could_not_be_taken_down_is_named(failing: Failing) -> None:
    assert [first.said for _, first, _ in failing if "clean left something behind:\n" not in first.said] == []


def test_fault_79_the_failure_is_told_with_the_tools_own_words(failing: Failing) -> None:
    assert [first.said for _, first, _ in failing if "injected" not in first.said or "Traceback" in first.said] == []


def test_fault_79_it_says_to_go_on_with_clean(failing: Failing) -> None:
    told = [way_on(first) for _, first, _ in failing]
    assert [words for words in told if (words[1], "clean" in words) != ("--env=staging", True)] == []


@pytest.mark.parametrize("pattern", STAYS)
def test_fault_79_the_rest_is_taken_down_all_the_same(flow: Flow, failing: Failing, pattern: str) -> None:
    left = [run.left for write, run, _ in failing if re.search(pattern, write)]
    kinds = {line.split()[0] for lines in left for line in lines if line not in flow.empty}
    assert (bool(left), kinds) == (True, STAYS[pattern])


def test_fault_79_clean_once_more_leaves_nothing_behind(flow: Flow, failing: Failing) -> None:
    assert [again.said for *_, again in failing if (again.code, again.left) != (0, flow.empty)] == []


def test_fault_28_clean_can_be_killed_at_every_write(undisturbed: Run, killed: list[Run], stride: int) -> None:
    *broken, last = [run.code for run in killed]
    assert (set(broken), last) == ({KILLED}, 0), killed[-1].said
    assert enough(len(broken), len(undisturbed.writes), stride), killed[-1].said


def test_fault_28_clean_that_was_killed_at_every_write_leaves_nothing_behind(flow: Flow, killed: list[Run]) -> None:
    assert killed[-1].left == flow.empty


def test_fault_28_nothing_runs_on_after_clean_was_killed(flow: Flow, killed: list[Run]) -> None:
    assert left_running(flow.cloud) == []


def test_nobody_was_asked_what_nobody_knows(flow: Flow, failing: Failing, killed: list[Run]) -> None:
    assert flow.cloud.state.unknown == []
