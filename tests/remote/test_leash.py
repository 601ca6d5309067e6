"""Whatever ends a command's run here, nothing of it goes on over there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import ROOT
from fakes.sshd import Sshd
from pipeline import leash
from pipeline.answering import carry_out
from pipeline.commands import Command
from pipeline.errors import FAILED, RunFailed
from pipeline.hands import Hands, Here
from pipeline.there import There
from tests.remote.machine import command_lines, gone, on, pids, shell, until


@pytest.mark.timed
def test_fault_23_a_command_that_hangs_is_stopped_with_its_whole_group(there: There, tmp_path: Path) -> None:
    note, began = tmp_path / "pids", time.monotonic()
    with pytest.raises(RunFailed, match=r"no end after 0\.5 s, so it was stopped"):
        carry_out(shell(f"sleep 60 & echo $! $$ > {note}; wait", timeout=0.5), lambda line: None, there)
    assert time.monotonic() - began < 8
    assert all(gone(pid) for pid in pids(note))


def test_a_command_that_ignores_sigterm_is_killed(there: There, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    done = there.run(shell(f"trap '' TERM; echo $$ > {note}; while :; do sleep 0.1; done", timeout=0.3), None)
    assert done.timed_out
    assert all(gone(pid) for pid in pids(note))


def test_what_a_command_left_in_the_background_is_ended_with_it(there: There, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    done = there.run(shell(f"sleep 60 >/dev/null 2>&1 & echo $! > {note}; echo done"), None)
    assert (done.stdout, done.timed_out) == ("done\n", False)
    assert all(gone(pid) for pid in pids(note))


@pytest.mark.timed
def test_a_grandchild_that_holds_the_stream_does_not_hold_the_run(there: There, tmp_path: Path) -> None:
    note, began = tmp_path / "pids", time.monotonic()
    assert there.run(shell(f"sleep 60 & echo $! > {note}; echo started", timeout=30), None).stdout == "started\n"
    assert time.monotonic() - began < 8
    assert all(gone(pid) for pid in pids(note))


@pytest.mark.parametrize("machine", ["here", "there"])
def test_a_command_of_another_thread_can_be_ended(machine: str, there: There, root: Path) -> None:
    hands: Hands = there if machine == "there" else Here(root / "build" / "staging")
    command, other = Command(("sleep", "61.25"), "wait"), shell("sleep 2; echo whole")
    with ThreadPoolExecutor(2) as pool:
        running, beside = pool.submit(hands.run, command, None), pool.submit(hands.run, other, None)
        until(lambda: "sleep 61.25" in command_lines())
        hands.interrupt(command)
        assert running.result(timeout=8).code
        hands.close()
        assert beside.result().stdout == "whole\n"
    assert "sleep 61.25" not in command_lines()


@pytest.mark.timed
def test_endless_output_is_stopped_at_the_time_limit(there: There) -> None:
    began = time.monotonic()
    assert there.run(Command(("yes",), "say yes", timeout=1), None).timed_out
    assert time.monotonic() - began < 8


SCRIPT = """
import sys
from pathlib import Path
from pipeline.commands import Command
from pipeline.processes import unwinding_on_sigterm
from pipeline.there import There
host, root, text = sys.argv[1:]
with unwinding_on_sigterm(), There(host, Path(root) / "build" / "staging", Path(root)) as there:
    there.run(Command(("sh", "-c", text), "wait"), None)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_fault_26_nothing_goes_on_there_after_this_side_was_ended(
    number: int, server: Sshd, root: Path, tmp_path: Path
) -> None:
    note = tmp_path / "pids"
    argv = [sys.executable, "-c", SCRIPT, server.host, str(root), f"sleep 60 & echo $! $$ > {note}; wait"]
    with subprocess.Popen(argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE) as child:
        running = pids(note)
        child.send_signal(number)
        child.communicate(timeout=20)
    assert all(gone(pid) for pid in running)


def test_a_server_that_dies_mid_run_is_said_in_one_sentence_and_leaves_nothing(
    own_server: Sshd, root: Path, tmp_path: Path
) -> None:
    note = tmp_path / "pids"
    with on(own_server, root) as there, ThreadPoolExecutor(1) as pool:
        running = pool.submit(there.run, shell(f"sleep 60 & echo $! $$ > {note}; wait"), None)
        started = pids(note)
        own_server.cut()
        with pytest.raises(RunFailed) as caught:
            running.result(timeout=20)
    assert caught.value.message.startswith(f"the SSH connection to {own_server.host} was lost")
    assert "\n" not in caught.value.message
    assert caught.value.code == FAILED
    assert all(gone(pid) for pid in started)


def test_after_a_lost_connection_the_next_step_connects_again(own_server: Sshd, root: Path) -> None:
    with on(own_server, root) as there:
        there.run(shell("true"), None)
        own_server.cut()
        own_server.process = own_server.start()
        with contextlib.suppress(RunFailed):  # the loss may be noticed only here
            there.run(shell("true"), None)
        assert there.run(shell("echo again"), None).stdout == "again\n"


def test_fault_42_a_mute_host_is_given_up_at_the_time_limit(
    own_server: Sshd, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leash, "GRACE", -2.0)  # and one second more for the host to say that it is done
    with on(own_server, root) as there:
        there.connected()
        servers = [one for one in own_server.sessions() if one.name() == "sshd"]
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(there.run, shell("sleep 30", timeout=2), None)
            time.sleep(1)
            for one in servers:
                one.suspend()
            try:
                assert running.result(timeout=20).timed_out
            finally:
                for one in servers:
                    one.resume()
