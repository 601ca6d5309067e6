"""A command on the host gets its words, variables and folder, and its output comes back as it does here."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from fakes.sshd import Sshd
from pipeline import leash, ssh
from pipeline.commands import Command
from pipeline.errors import UNFIT, PipelineError, RunFailed
from pipeline.processes import KEPT
from pipeline.there import There
from tests.remote.machine import command_lines, on, pids, remote, shell


def test_a_command_gives_both_streams_and_its_code(there: There) -> None:
    done = there.run(shell("echo out; echo err >&2; exit 3"), None)
    assert (done.code, done.stdout, done.stderr, done.timed_out) == (3, "out\n", "err\n", False)


def test_lines_are_shown_as_they_come(there: There) -> None:
    lines: list[tuple[str, float]] = []
    there.run(
        shell("echo one; sleep 0.5; printf 'two\\r\\nthree'"), lambda line: lines.append((line, time.monotonic()))
    )
    assert [line for line, _ in lines] == ["one", "two", "three"]
    assert lines[1][1] - lines[0][1] > 0.3


@pytest.mark.parametrize(
    "word", ["it's", 'a "b"', "a b  c", "$HOME", "`id`", "back\\slash", "two\nlines", "*", "", "é", "-n", "!x", ";#&|"]
)
def test_a_word_arrives_as_it_was_given(there: There, word: str) -> None:
    assert there.run(Command(("printf", "[%s]", word), "print"), None).stdout == f"[{word}]"


def test_the_command_gets_the_steps_variables(there: There) -> None:
    done = there.run(shell('printf %s "$ONE"', env={"ONE": "it's\n$TWO"}), None)
    assert done.stdout == "it's\n$TWO"


def test_fault_21_variables_of_the_hosts_login_are_not_passed_on(there: There) -> None:
    assert there.run(shell("echo ${GREETING-none}"), None).stdout == "none\n"


def test_fault_80_no_list_of_processes_shows_a_variables_value(there: There, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    command = shell(f"echo $$ > {note}; sleep 3", env={"TOKEN": "canary-4711"}, timeout=30)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(there.run, command, None)
        assert pids(note)
        shown = command_lines()
        running.result()
    assert not [line for line in shown if "canary-4711" in line]


def test_paths_of_the_checkout_are_those_of_the_host_in_words_variables_and_working_folder(
    there: There, root: Path
) -> None:
    (root / "src").mkdir()
    (root / "src" / "a").write_text("")
    there.upload(root / "src")
    text = 'printf "%s\\n" "$0" "$1" "$PLACE" "$PWD"'
    argv = (
        "sh",
        "-c",
        text,
        f"--file={root}/build/x",
        f"file://{root}/y",
    )
    done = there.run(Command(argv, "print", env={"PLACE": f"{root}/k:{root}/l"}, cwd=root / "src"), None)
    base = remote(there, root)
    assert done.stdout.split() == [f"--file={base}/build/x", f"file://{base}/y", f"{base}/k:{base}/l", f"{base}/src"]


def test_a_path_that_only_begins_like_the_checkout_stays(there: There, root: Path) -> None:
    assert there.run(Command(("echo", f"{root}-old/x"), "print"), None).stdout == f"{root}-old/x\n"


def test_a_command_has_no_input_that_it_could_wait_for(there: There) -> None:
    assert there.run(shell("cat; echo end", timeout=10), None).stdout == "end\n"


def test_what_a_login_prints_is_no_output_of_the_command(noisy: Sshd) -> None:
    lines: list[str] = []
    with contextlib.closing(ssh.connect(noisy.host)) as connection:
        argv = ("sh", "-c", "echo out; echo err >&2")
        done = leash.run(connection, noisy.host, argv, {}, "/", 10, lines.append)
    assert (done.stdout, done.stderr, sorted(lines), done.timed_out) == ("out\n", "err\n", ["err", "out"], False)


def test_a_login_that_breaks_sftp_is_one_sentence(noisy: Sshd, root: Path) -> None:
    with pytest.raises(RunFailed) as caught, on(noisy, root) as there:
        there.run(shell("true"), None)
    assert "does ~/.bashrc print something? Try: sftp -P" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.timed
def test_fault_24_a_hundred_megabytes_are_read_in_linear_time_and_bounded_memory(there: There) -> None:
    there.connected()
    before, began = psutil.Process().memory_info().rss, time.monotonic()
    done = there.run(shell("head -c 100000000 /dev/zero | tr '\\0' x; echo end"), lambda line: None)
    assert time.monotonic() - began < 20
    assert psutil.Process().memory_info().rss - before < 50_000_000
    assert len(done.stdout) == KEPT
    assert done.stdout.endswith("xend\n")


def test_output_that_is_not_utf_8_is_shown_with_replacement_signs(there: There) -> None:
    lines: list[str] = []
    done = there.run(shell("printf 'a\\377b\\n'"), lines.append)
    assert (done.stdout, lines) == ("a�b\n", ["a�b"])


def test_fault_17_a_missing_tool_is_named_with_the_host_and_exit_3(there: There) -> None:
    with pytest.raises(PipelineError) as caught:
        there.run(Command(("no-such-tool", "--version"), "try"), None)
    assert caught.value.message.startswith(f"no-such-tool is not on {there.host}'s PATH: install it")
    assert caught.value.code == UNFIT


def test_a_command_that_itself_ends_with_127_has_run(there: There) -> None:
    assert there.run(shell("exit 127"), None).code == 127


def test_a_working_folder_that_is_not_there_is_named(there: There, root: Path) -> None:
    with pytest.raises(RunFailed, match=r"has no folder .*/absent, in which echo was to run"):
        there.run(Command(("echo",), "try", cwd=root / "absent"), None)


def test_questions_from_several_threads_share_one_connection(own_server: Sshd, root: Path) -> None:
    with on(own_server, root) as there, ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: there.run(shell(f"sleep 0.2; echo {n}"), None).stdout, range(12)))
        assert len(psutil.Process(own_server.process.pid).children()) == 1
    assert answers == [f"{n}\n" for n in range(12)]
