"""The trainer's log for people: JSON lines become their messages, progress one line; a followed log goes on."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clusters import logfiles
from pipeline.trainerlog import OVER, PROGRESS, Screen, readable, readable_text
from trainer import log


def written(call: str, *arguments: object) -> str:
    """What the trainer's log writes in a pod."""
    said = io.StringIO()
    log.choose_format({"TF_LOG_FORMAT": "json"})
    with contextlib.redirect_stdout(said):
        getattr(log, call)(*arguments)
    log.choose_format({})
    return said.getvalue()


@given(st.text())
def test_whatever_the_trainer_says_in_a_pod_is_read_as_it_was_said(message: str) -> None:
    line = written("say", message)
    assert line.count("\n") == 1
    assert readable(line.rstrip("\n")) == (message.splitlines() or [""])


def test_the_trainers_progress_is_known_for_what_it_is() -> None:
    (line,) = readable(written("progress", 200, 2814, 0.1628, 0.95, 13290.0, 13.2).rstrip("\n"))
    assert line == "step = 200/2814, loss = 0.1628, 13290 images/s, 13 s left"
    assert PROGRESS.match(f"      {line}")
    assert not PROGRESS.match("      Exported to build/local/bucket/export/1")


@pytest.mark.parametrize(
    "line",
    ["plain", "", "{", "{}", '{"message": "no severity"}', '{"message": 1, "severity": "INFO"}', '["message"]',
     "Traceback (most recent call last):"],
)  # fmt: skip
def test_what_is_no_line_of_the_trainers_stays_as_it_is(line: str) -> None:
    assert readable(line) == [line]


def test_a_piece_of_a_log_may_hold_both_kinds() -> None:
    told = json.dumps({"severity": "ERROR", "message": "The disk is full.\nMake room."})
    assert readable_text(f"one\n{told}\ntwo") == "one\nThe disk is full.\nMake room.\ntwo"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


STEPS = tuple(f"      step = {step}/20, loss = 0.1, 9 images/s, 1 s left" for step in (10, 20))


@pytest.mark.parametrize(
    ("out", "term", "expected"),
    [
        (Terminal(), "xterm", f"start\n{STEPS[0]}\n{OVER}{STEPS[1]}\nend\n"),
        (Terminal(), "dumb", f"start\n{STEPS[0]}\n{STEPS[1]}\nend\n"),
        (io.StringIO(), "xterm", f"start\n{STEPS[0]}\n{STEPS[1]}\nend\n"),
    ],
    ids=["a terminal", "one that cannot", "a pipe"],
)
def test_progress_is_written_over_on_a_terminal_only(
    out: io.StringIO, term: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    screen = Screen()
    with contextlib.redirect_stdout(out):
        for line in ("start", *STEPS, "end"):
            screen.show(line)
    assert out.getvalue() == expected


def test_progress_never_takes_two_lines_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    with contextlib.redirect_stdout(Terminal()) as out:
        Screen().show(STEPS[0])
    assert out.getvalue() == STEPS[0][:29] + "\n"


def test_the_last_lines_of_a_log_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("one\ntwo\nthree")
    assert list(logfiles.read(path, 2, False)) == ["two", "three"]
    assert list(logfiles.read(path, 9, False)) == ["one", "two", "three"]


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[tuple[Path, Iterator[str]]]:
    """A log that is followed, read as far as it goes."""
    path = tmp_path / "a.log"
    path.write_text("old\nlast\nhal")
    lines = logfiles.read(path, 1, True)
    assert next(lines) == "last"
    yield path, lines
    lines.close()  # type: ignore[attr-defined]


def after(seconds: float, path: Path, text: str) -> None:
    """Have the log gain a text in a while."""

    def add() -> None:
        with path.open("a") as file:
            file.write(text)

    threading.Timer(seconds, add).start()


def test_a_followed_log_gives_what_it_gains_in_whole_lines(followed: tuple[Path, Iterator[str]]) -> None:
    path, lines = followed
    after(0.05, path, "f\nne")
    after(0.5, path, "w\n")
    assert list(itertools.islice(lines, 2)) == ["half", "new"]


def test_a_followed_log_that_is_rotated_goes_on_with_the_new_one(followed: tuple[Path, Iterator[str]]) -> None:
    path, lines = followed
    path.rename(path.with_suffix(".1"))
    after(0.3, path, "f a line\n")  # supervisord rotates wherever a line stands
    assert next(lines) == "half a line"
