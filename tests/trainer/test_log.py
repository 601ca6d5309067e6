"""What a run says: on a terminal one line that is written over, in a pod one JSON object a line, else plain lines."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from trainer import log

from .conftest import ROOT, TrainerProcess

SHORT = ("--tf-train-steps=60", "--tf-checkpoint-every=20")


@pytest.fixture(autouse=True)
def text_again() -> Iterator[None]:
    """Have the tests after these write as people read."""
    yield
    log.choose_format({})


@pytest.fixture
def entries(trainer: TrainerProcess, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The objects that a run writes in a pod."""
    monkeypatch.setenv("TF_LOG_FORMAT", "json")
    return [json.loads(line) for line in trainer.run_here(*SHORT).splitlines()]


def test_in_a_pod_every_line_is_an_object_with_time_severity_and_message(entries: list[dict[str, object]]) -> None:
    for entry in entries:
        moment = datetime.fromisoformat(str(entry["time"]))
        assert abs((datetime.now(UTC) - moment).total_seconds()) < 120
        assert entry["message"]
    severities = {entry["severity"] for entry in entries}
    assert severities == {"INFO", "WARNING"}  # the warning: stand-in data


def test_in_a_pod_progress_has_its_numbers_as_fields(entries: list[dict[str, object]]) -> None:
    progress = [entry for entry in entries if "step" in entry]
    steps = [entry["step"] for entry in progress]
    assert {20, 40, 60} <= {*steps}  # at each checkpoint, and once a second
    assert steps == sorted(steps)  # type: ignore[type-var]
    for entry in progress:
        assert set(entry) == {
            "time", "severity", "message", "step", "loss", "accuracy", "images_per_second", "seconds_left",
        }  # fmt: skip
        assert str(entry["message"]).startswith(f"step = {entry['step']}/60, loss = {entry['loss']:.4f}, ")
        assert 0 <= float(str(entry["accuracy"])) <= 1
        assert float(str(entry["images_per_second"])) > 0
    assert progress[-1]["seconds_left"] == 0


def test_in_a_pod_the_reason_of_a_failure_is_an_error_on_standard_error(
    trainer: TrainerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_LOG_FORMAT", "json")
    said = json.loads(trainer.run_here("--tf-train-steps=none", code=2))
    assert (said["severity"], said["message"][:27]) == ("ERROR", "--tf-train-steps: 'none' is")


def test_a_format_that_nobody_knows_is_refused(trainer: TrainerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_LOG_FORMAT", "xml")
    assert trainer.run_here(code=2) == "TF_LOG_FORMAT: 'xml' is not one of text, json.\n"


def test_on_a_terminal_progress_is_one_line_that_is_written_over(trainer: TrainerProcess) -> None:
    here, there = pty.openpty()
    with subprocess.Popen(
        trainer.argv(*SHORT), cwd=ROOT, env=trainer.env(TERM="xterm"), stdout=there, stderr=there
    ) as child:
        os.close(there)
        shown = b""
        while piece := read(here):
            shown += piece
    os.close(here)
    assert child.returncode == 0
    lines = on_screen(shown.decode())
    assert [line.split(",")[0] for line in lines if line.startswith("step = ")] == ["step = 60/60"]
    told = shown.count(b"step = ")  # three checkpoints, and one a second where the machine is busy
    assert told >= 3
    assert shown.count(log.OVER.encode()) == told - 1
    assert any(line.startswith("Model: linear") for line in lines)
    assert lines[-1].startswith("Done in ")


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux' way to say that the other side is closed
        return b""


def on_screen(text: str) -> list[str]:
    """What stands on a terminal after these characters."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(log.OVER):
            lines.pop()
        lines.append(line.removeprefix(log.OVER))
    return lines


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (13.4, "13 s"), (179, "179 s"), (180, "3 min"), (725, "12 min"), (4 * 3600 + 301, "4 h 5 min")],
)
def test_the_time_that_is_left_is_told_as_people_do(seconds: float, words: str) -> None:
    assert log.duration(seconds) == words
