"""Steps are carried out in order, foreseen without a change, and tried again only where that is safe and helps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import answering
from pipeline.answering import carry_out
from pipeline.commands import (
    Call,
    Command,
    Diff,
    Note,
    Pause,
    Probe,
    Remove,
    Result,
    Step,
    Steps,
    Together,
    Unchanged,
    Upload,
    Watch,
    Write,
    each,
)
from pipeline.errors import PipelineError, RunFailed
from pipeline.execution import execute
from pipeline.foresight import foresee, rehearse
from pipeline.hands import Here
from pipeline.processes import Finished

BUSY = Finished(1, "", "ERROR: code=503, message=The service is currently unavailable.")
REFUSED = Finished(1, "", "ERROR: PERMISSION_DENIED: you may not")


class Noting(Here):
    """Hands that run nothing: they note what they are given, and answer what they are told."""

    def __init__(self, *answers: Finished) -> None:
        super().__init__(Path("/nowhere"))
        self.answers, self.done = list(answers), list[str]()

    def run(self, command: Command, on_line: Callable[[str], None] | None) -> Finished:
        self.done.append(str(command))
        return self.answers.pop(0) if self.answers else Finished(0, "said\n", "")

    def write(self, path: Path, text: str, private: bool) -> bool:
        self.done.append(f"write {path}")
        return True

    def upload(self, path: Path) -> None:
        self.done.append(f"upload {path}")

    def remove(self, path: Path) -> None:
        self.done.append(f"remove {path}")


def quiet(line: str) -> None:
    """Shows nothing."""


def ask(*words: str, **how: Any) -> Command:
    return Command(words, f"ask {words[-1]}", kind="ask", **how)


def change(*words: str, **how: Any) -> Command:
    return Command(words, f"do {words[-1]}", **how)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "PAUSE", 0.001)


def run(steps: Steps, hands: Noting, show: Callable[[str], None] = quiet) -> Any:
    return execute(steps, Path("/nowhere"), show, hands)


def test_each_answer_goes_back_to_where_it_was_asked() -> None:
    seen = []

    def stage() -> Steps:
        seen.append((yield ask("a", parse="text")))
        seen.append((yield Probe("look", lambda: 7)))
        seen.append((yield Together((ask("b", parse="text"), Probe("look", lambda: 8)))))
        seen.append((yield Call("act", lambda show: 9)))
        seen.append((yield Watch("wait", lambda: 10)))

    run(stage(), Noting())
    assert seen == ["said", 7, ["said", 8], 9, 10]


def test_every_kind_of_step_that_hands_carry_out_reaches_them_in_order() -> None:
    hands = Noting()
    run(each(Write(Path("a"), "x"), Upload(Path("b")), change("c"), Remove(Path("d")), ask("e")), hands)
    assert hands.done == ["write a", "upload b", "c", "remove d", "e"]


def test_a_stage_that_only_asked_and_waited_is_unchanged() -> None:
    kinds = (ask("a"), Command(("b",), "wait", kind="wait"), Unchanged("it is there"), Result("fine"))
    assert run(each(*kinds), Noting()).text == "unchanged: fine"
    assert not run(each(*kinds), Noting()).changed
    assert run(each(*kinds, change("c")), Noting()).changed


def test_a_question_is_asked_once_until_something_changes() -> None:
    hands = Noting()
    run(each(ask("a"), ask("a"), Together((ask("a"), ask("b"))), change("c"), ask("a")), hands)
    assert hands.done == ["a", "b", "c", "a"]


def test_a_quiet_question_is_asked_each_time() -> None:
    hands = Noting()
    run(each(ask("a", quiet=True), ask("a", quiet=True)), hands)
    assert hands.done == ["a", "a"]


def test_an_error_goes_into_the_stage_which_may_go_on() -> None:
    seen = []

    def stage() -> Steps:
        try:
            yield change("a")
        except PipelineError as error:
            seen.append(str(error.message))
        yield change("b")

    hands = Noting(REFUSED)
    run(stage(), hands)
    assert hands.done == ["a", "b"]
    assert "PERMISSION_DENIED" in seen[0]


def test_an_error_that_the_stage_does_not_catch_ends_the_run() -> None:
    hands = Noting(REFUSED)
    with pytest.raises(RunFailed, match="PERMISSION_DENIED"):
        run(each(change("a"), change("b")), hands)
    assert hands.done == ["a"]


def test_questions_together_are_asked_at_the_same_time() -> None:
    barrier = threading.Barrier(3, timeout=5)
    answers = run(each(Together(tuple(Probe(str(one), barrier.wait) for one in range(3)))), Noting())
    assert answers.text == "done"


def test_of_questions_together_one_that_fails_is_the_stages_error() -> None:
    def fail() -> None:
        raise PipelineError("no")

    with pytest.raises(PipelineError, match="no"):
        run(each(Together((Probe("a", lambda: 1), Probe("b", fail)))), Noting())


# -- one command ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "tries"),
    [(ask("a"), 5), (Command(("a",), "wait", kind="wait"), 5), (change("a", retry=True), 5), (change("a"), 1)],
)
def test_fault_41_what_passes_is_tried_again_only_where_that_is_safe(command: Command, tries: int) -> None:
    hands = Noting(*[BUSY] * 9)
    with pytest.raises(RunFailed, match="currently unavailable"):
        carry_out(command, quiet, hands)
    assert len(hands.done) == tries


def test_fault_41_each_try_is_told_with_the_tools_words_and_the_next_try() -> None:
    said: list[str] = []
    carry_out(change("a", retry=True), said.append, Noting(BUSY, BUSY))
    assert [line.strip()[-17:] for line in said] == ["try 2 of 5 in 0 s", "try 3 of 5 in 0 s"]
    assert all("currently unavailable" in line for line in said)


def test_fault_41_pauses_grow_are_drawn_at_random_and_have_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "PAUSE", 8.0)
    pauses = list[float]()
    monkeypatch.setattr(time, "sleep", pauses.append)
    for _ in range(20):
        with pytest.raises(RunFailed):
            carry_out(ask("a"), quiet, Noting(*[BUSY] * 9))
    firsts, lasts = pauses[::4], pauses[3::4]
    assert len(set(pauses)) > 70  # 80 pauses, hardly two the same
    assert max(pauses) <= 20
    assert max(firsts) <= 8 < max(lasts)


@pytest.mark.parametrize("command", [ask("a"), change("a", retry=True)])
def test_what_does_not_pass_is_not_tried_again(command: Command) -> None:
    hands = Noting(REFUSED, REFUSED)
    with pytest.raises(RunFailed):
        carry_out(command, quiet, hands)
    assert len(hands.done) == 1


GONE = Finished(
    1, "", "ERROR: code=404, message=not found; API has not been used in project 1 before or it is disabled"
)


def test_what_is_not_there_is_an_answer_and_not_asked_again() -> None:
    hands = Noting(GONE, GONE)
    assert carry_out(ask("a", absent="code=404"), quiet, hands) is None
    assert len(hands.done) == 1


def test_what_is_so_already_is_a_success() -> None:
    assert carry_out(change("a", done="code=404"), quiet, Noting(GONE)) == ""


def test_several_codes_make_a_pair_and_others_a_failure() -> None:
    command = ask("a", codes=(0, 1))
    assert carry_out(command, quiet, Noting(Finished(1, "differs", ""))) == (1, "differs")
    with pytest.raises(RunFailed):
        carry_out(command, quiet, Noting(Finished(2, "", "error: broken")))


def test_a_time_out_is_told_and_not_tried_again() -> None:
    hands = Noting(Finished(-9, "", "", timed_out=True))
    with pytest.raises(RunFailed, match="no end after 600 s"):
        carry_out(ask("a"), quiet, hands)
    assert len(hands.done) == 1


def test_a_failure_shows_the_error_and_not_the_notes_before_it() -> None:
    noise = "\n".join(["Note: one", "Note: two", "Note: three", "ERROR: (gcloud.x) it broke", "a hint", "another"])
    with pytest.raises(RunFailed) as caught:
        carry_out(change("a"), quiet, Noting(Finished(1, "", noise)))
    said = str(caught.value.message).splitlines()
    assert [line.strip() for line in said[1:4]] == ["ERROR: (gcloud.x) it broke", "a hint", "another"]


def test_what_a_secret_command_prints_is_not_shown() -> None:
    said: list[str] = []
    hands = Noting(Finished(0, "CANARY\n", ""))
    assert carry_out(change("a", secret="a token"), said.append, hands) == "CANARY\n"
    assert said == []


@given(st.text(), st.text(), st.integers(1, 255))
def test_whatever_a_tool_says_its_failure_is_a_few_lines(out: str, err: str, code: int) -> None:
    with pytest.raises(RunFailed) as caught:
        carry_out(change("a"), quiet, Noting(*[Finished(code, out, err)] * 9))
    assert 2 <= len(str(caught.value.message).splitlines()) <= 8


# -- before anything is done -------------------------------------------------------------------------------------------


def stage(there: object) -> Steps:
    """Makes a thing where it is not there, then something inside it."""
    found = yield ask("thing", parse="text", unasked=None)
    if found == there:
        yield Unchanged("the thing is there")
    else:
        yield change("make", "thing", makes="thing")
    inside = yield ask("inside", parse="text", needs=("thing",), unasked="unknown")
    yield Write(Path("a.yaml"), str(inside))
    yield Diff("- old\n+ new")
    yield Pause(1000)
    yield Watch("never", lambda: 1 / 0)
    yield Command(("rollout",), "wait for it", kind="wait")
    yield change("make", "inside")
    yield Note("of interest", always=True)
    yield Result("done")


def test_a_dry_run_asks_nothing_does_nothing_and_says_every_command() -> None:
    said: list[str] = []
    seen = rehearse(stage("said"), said.append)
    assert [line.strip() for line in said] == [
        "thing", "make thing", "inside", "write a.yaml", "wait: never", "rollout", "make inside", "of interest",
        "result: done",
    ]  # fmt: skip
    assert len(seen) == 11


def test_a_dry_run_says_a_question_once_while_nothing_changes() -> None:
    said: list[str] = []
    rehearse(each(ask("a"), ask("a"), Together((ask("a"), ask("b"))), change("c"), ask("a")), said.append)
    assert [line.strip() for line in said] == ["a", "b", "c", "a"]


def test_a_plan_asks_but_changes_and_waits_for_nothing() -> None:
    said: list[str] = []
    hands = Noting()
    foreseen = foresee(stage("said"), hands, set(), said.append)
    assert hands.done == ["thing", "inside", "write a.yaml"]
    assert [str(step) for step in foreseen] == ["make inside"]
    assert [line.strip() for line in said] == [
        "skip  the thing is there", "- old", "+ new", "run   do inside", "of interest",
    ]  # fmt: skip


def test_a_plan_does_not_ask_about_what_is_yet_to_be_made() -> None:
    hands, made = Noting(), set[str]()
    foreseen = foresee(stage("other"), hands, made, quiet)
    assert hands.done == ["thing", "write a.yaml"]
    assert [str(step) for step in foreseen] == ["make thing", "make inside"]
    assert "thing" in made


def test_a_plan_with_nothing_to_do_foresees_nothing() -> None:
    assert foresee(each(ask("a"), Unchanged("x"), Result("y")), Noting(), set(), quiet) == []


STEPS = st.lists(
    st.sampled_from([
        ask("a"), ask("b", needs=("c",)), change("c", makes="c"), change("d"), Write(Path("f"), "x"),
        Unchanged("u"), Note("n"), Result("r"), Probe("p", lambda: 1), Together((ask("a"), ask("b"))),
    ]),
    max_size=12,
)  # fmt: skip


@given(STEPS)
def test_what_a_plan_foresees_is_what_a_run_changes(steps: list[Step]) -> None:
    planning, acting = Noting(), Noting()
    foreseen = [str(step) for step in foresee(each(*steps), planning, set(), quiet)]
    run(each(*steps), acting)
    changed = [line for line in acting.done if line in ("c", "d")]
    assert foreseen == changed
    assert not {"c", "d"} & set(planning.done)
