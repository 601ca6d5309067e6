"""Commands end with their whole group, and their output is read in linear time and bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.answering import carry_out
from pipeline.commands import Command
from pipeline.errors import PipelineError, RunFailed
from pipeline.hands import Here
from pipeline.processes import KEPT, end, environment, marked, run

ENV = {"PATH": os.environ["PATH"]}
QUIET = lambda line: None  # noqa: E731


def python(text: str, **more: object) -> Command:
    return Command((sys.executable, "-c", text), "run a line of Python", **more)  # type: ignore[arg-type]


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_command_gives_both_streams_and_its_code() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], ENV)
    assert (done.code, done.stdout, done.stderr, done.timed_out) == (3, "out\n", "err\n", False)


def test_lines_are_shown_as_they_come() -> None:
    lines: list[str] = []
    run(["sh", "-c", "echo one; printf 'two\\r\\nthree'"], ENV, on_line=lines.append)
    assert lines == ["one", "two", "three"]


@pytest.mark.timed
def test_fault_23_a_command_that_hangs_is_stopped_with_its_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    began = time.monotonic()
    with pytest.raises(RunFailed, match=r"no end after 0\.5 s, so it was stopped"):
        carry_out(
            Command(("sh", "-c", f"sleep 60 & echo $! $$ > {pids}; wait"), "wait", timeout=0.5),
            QUIET,
            Here(tmp_path),
        )
    assert time.monotonic() - began < 5
    assert all(gone(int(pid)) for pid in pids.read_text().split())


def test_a_command_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    done = run(["sh", "-c", f"trap '' TERM; echo $$ > {pids}; while :; do sleep 0.1; done"], ENV, timeout=0.3)
    assert done.timed_out
    assert gone(int(pids.read_text()))


@pytest.mark.timed
def test_a_grandchild_that_holds_the_pipe_does_not_hold_the_run() -> None:
    began = time.monotonic()
    assert run(["sh", "-c", "sleep 60 & echo started"], ENV, timeout=1).timed_out
    assert time.monotonic() - began < 5


@pytest.mark.timed
def test_fault_24_a_hundred_megabytes_are_read_in_linear_time_and_bounded_memory() -> None:
    before = psutil.Process().memory_info().rss
    began = time.monotonic()
    done = run(
        [
            sys.executable,
            "-c",
            "import sys\nfor _ in range(100): sys.stdout.write('x' * 1_000_000)\nprint('end')",
        ],
        ENV,
    )
    assert time.monotonic() - began < 10
    assert len(done.stdout) == KEPT
    assert done.stdout.endswith("end\n")
    assert psutil.Process().memory_info().rss - before < 50_000_000


def test_fault_25_json_is_parsed_whatever_stands_on_stderr(tmp_path: Path) -> None:
    text = "import sys; print('Updates are available!', file=sys.stderr); print('{\"a\": 1}')"
    assert carry_out(python(text, parse="json"), QUIET, Here(tmp_path)) == {"a": 1}


def test_fault_25_noise_instead_of_json_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="was to print JSON but printed: WARNING: old"):
        carry_out(python("print('WARNING: old')", parse="json"), QUIET, Here(tmp_path))


def test_a_failed_command_says_what_it_was_doing_and_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(RunFailed) as caught:
        carry_out(python("import sys; sys.exit('no such bucket')"), QUIET, Here(tmp_path))
    assert str(caught.value.message).startswith("run a line of Python: ")
    assert "no such bucket" in str(caught.value.message)
    assert caught.value.code == 1


def test_a_missing_program_is_exit_3(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no-such-tool is not on this machine's PATH") as caught:
        carry_out(Command(("no-such-tool",), "try"), QUIET, Here(tmp_path))
    assert caught.value.code == 3


def test_a_command_sees_few_of_the_callers_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/key.json")
    seen = json.loads(
        run(
            [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"],
            environment(tmp_path),
        ).stdout
    )
    assert "GOOGLE_APPLICATION_CREDENTIALS" not in seen
    assert seen["PATH"] == os.environ["PATH"]


def test_a_marked_process_is_found_and_ended_whoever_started_it(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "60"], env=environment(tmp_path), start_new_session=True)
    assert [process.pid for process in marked(tmp_path)] == [child.pid]
    assert marked(tmp_path / "other") == []
    assert end(marked(tmp_path)) == 1
    child.wait()
    assert marked(tmp_path) == []
