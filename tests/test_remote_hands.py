"""The steps of an environment with `host:` run over SSH as they run here, against a real sshd on the loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from conftest import ROOT, free_ports
from fakes.sshd import MISSING, PROGRAM, Sshd, key_of, keygen
from pipeline import leash, ssh
from pipeline.commands import Command, Remove, Result, Steps, Upload, Write
from pipeline.config import load
from pipeline.errors import FAILED, UNFIT, PipelineError, RunFailed
from pipeline.execution import carry_out, execute
from pipeline.hands import Hands, Here, of, over
from pipeline.processes import KEPT
from pipeline.there import There

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=MISSING)

QUIET = lambda line: None  # noqa: E731


def at_home(server: Sshd, patch: pytest.MonkeyPatch) -> Sshd:
    """The server, with its home folder as ours: its keys and known machines, and no agent."""
    patch.setenv("HOME", str(server.home))
    patch.delenv("SSH_AUTH_SOCK", raising=False)
    return server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with contextlib.closing(Sshd(tmp_path_factory.mktemp("sshd"), {"GREETING": "of the host"})) as server:
        yield server


@pytest.fixture
def server(running: Sshd, monkeypatch: pytest.MonkeyPatch) -> Sshd:
    return at_home(running, monkeypatch)


@pytest.fixture
def own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A server that a test may change or kill."""
    with contextlib.closing(Sshd(tmp_path / "sshd")) as made:
        yield at_home(made, monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout."""
    made = tmp_path / "checkout"
    (made / "build" / "staging").mkdir(parents=True)
    return made


@contextlib.contextmanager
def on(server: Sshd, root: Path) -> Iterator[There]:
    with There(server.host, root / "build" / "staging", root) as made:
        yield made


@pytest.fixture
def there(server: Sshd, root: Path) -> Iterator[There]:
    with on(server, root) as made:
        yield made
        made.discard()


def remote(there: There, path: Path) -> Path:
    """A path of the host: the same file system, as it happens."""
    there.connected()
    return Path(there.place(path))


def shell(text: str, **more: object) -> Command:
    return Command(("sh", "-c", text), "run a line of shell", **more)  # type: ignore[arg-type]


def gone(pid: int, seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def pids(path: Path) -> list[int]:
    """The process numbers that a command has noted down, once they are there."""
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [int(word) for word in path.read_text().split()]


# Commands


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


def command_lines() -> list[str]:
    """The command line of every process of this machine."""
    lines = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return lines


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


@pytest.fixture
def noisy(own_server: Sshd) -> Sshd:
    """A server whose logins print something before the command runs."""
    noise = "echo Welcome; echo to you >&2; $SSH_ORIGINAL_COMMAND; true"
    own_server.authorized.write_text(f'command="{noise}",{own_server.authorized.read_text()}')
    return own_server


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


def test_fault_24_a_hundred_megabytes_are_read_in_linear_time_and_bounded_memory(there: There) -> None:
    there.connected()
    before, began = psutil.Process().memory_info().rss, time.monotonic()
    done = there.run(shell("head -c 100000000 /dev/zero | tr '\\0' x; echo end"), QUIET)
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


# The leash


def test_fault_23_a_command_that_hangs_is_stopped_with_its_whole_group(there: There, tmp_path: Path) -> None:
    note, began = tmp_path / "pids", time.monotonic()
    with pytest.raises(RunFailed, match=r"no end after 0\.5 s, so it was stopped"):
        carry_out(shell(f"sleep 60 & echo $! $$ > {note}; wait", timeout=0.5), QUIET, there)
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


# Files


def test_a_file_is_written_once_and_then_found_unchanged(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "train.yaml"
    assert [there.write(path, text, False) for text in ("é: 1\n", "é: 1\n", "é: 2\n")] == [True, False, True]
    assert remote(there, path).read_text() == "é: 2\n"


def test_a_private_file_is_readable_by_its_owner_only_and_so_is_the_whole_folder(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "key.json"
    there.write(path, "{}", True)
    place = remote(there, path)
    assert place.stat().st_mode & 0o777 == 0o600
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in place.parents if ".kubeflow-pipeline" in str(folder))


def test_a_write_that_fails_changes_nothing_and_says_why(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "taken"
    remote(there, path).mkdir()
    (remote(there, path) / "kept").write_text("")
    with pytest.raises(RunFailed, match=r"could not keep taken there"):
        there.write(path, "text", False)
    assert [one.name for one in remote(there, path.parent).iterdir()] == ["taken"]


def test_a_file_is_removed_and_one_that_is_not_there_is_fine(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "key.json"
    there.write(path, "{}", True)
    there.remove(path)
    there.remove(path)
    assert not remote(there, path).exists()


def tree(folder: Path) -> dict[str, tuple[bytes, bool]]:
    """Every file below a folder, its bytes, and whether it can be run; folders that hold none do not count."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), os.access(path, os.X_OK)) for path in files}


@pytest.fixture
def source(root: Path) -> Path:
    folder = root / "trainer"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "a name.py").write_text("one")
    (folder / "sub" / "deep" / "b.bin").write_bytes(bytes(range(256)))
    (folder / "sub" / "empty").write_text("")
    (folder / ".dockerignore").write_text("*.pyc")
    return folder


def test_a_folder_arrives_whole(there: There, source: Path) -> None:
    there.upload(source)
    assert tree(remote(there, source)) == {
        "a name.py": (b"one", os.access(source / "a name.py", os.X_OK)), "sub/deep/b.bin": (bytes(range(256)), False),
        "sub/empty": (b"", False), ".dockerignore": (b"*.pyc", False),
    }  # fmt: skip


def test_a_folder_is_a_mirror_after_every_kind_of_change(there: There, source: Path) -> None:
    there.upload(source)
    (source / "a name.py").write_text("two")
    (source / "sub" / "empty").chmod(0o755)
    (source / "sub" / "deep" / "b.bin").unlink()
    (source / "sub" / "deep").rmdir()
    (source / "sub" / "deep").write_text("a file now")
    (source / ".dockerignore").unlink()
    there.upload(source)
    assert tree(remote(there, source)) == tree(source)
    there.upload(source)
    assert tree(remote(there, source)) == tree(source)


def test_only_what_differs_is_sent(there: There, source: Path) -> None:
    there.upload(source)
    place = remote(there, source)
    before = {path: path.stat().st_ino for path in place.rglob("*")}
    (source / "a name.py").write_text("two")
    there.upload(source)
    assert [path.name for path, number in before.items() if path.stat().st_ino != number] == ["a name.py"]


def test_caches_are_left_out(there: There, source: Path) -> None:
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "a.pyc").write_text("")
    (source / ".a.swp").write_text("")
    there.upload(source)
    assert not {"__pycache__/a.pyc", ".a.swp"} & tree(remote(there, source)).keys()


def test_a_single_file_leaves_its_neighbours_alone(there: There, root: Path) -> None:
    for name in ("one", "two"):
        (root / name).write_text(name)
        there.upload(root / name)
    assert {"one": (b"one", False), "two": (b"two", False)}.items() <= tree(remote(there, root)).items()


def test_what_is_not_here_is_left_as_it_is_there(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "secret" / "kustomization.yaml"
    there.write(path, "{}", False)
    there.upload(path.parent)
    assert remote(there, path).read_text() == "{}"


def test_a_folder_outside_the_checkout_is_found_under_its_own_path(there: There, tmp_path: Path) -> None:
    (tmp_path / "operator").mkdir()
    (tmp_path / "operator" / "kustomization.yaml").write_text("resources: []")
    there.upload(tmp_path / "operator")
    done = there.run(Command(("cat", f"{tmp_path}/operator/kustomization.yaml"), "read"), None)
    assert done.stdout == "resources: []"
    assert ".kubeflow-pipeline" in there.run(Command(("echo", f"{tmp_path}/operator"), "print"), None).stdout


def test_the_working_folder_can_be_removed_whole_and_comes_again(there: There, root: Path) -> None:
    path = root / "build" / "staging" / "train.yaml"
    there.write(path, "a", False)
    place = remote(there, path)
    there.discard()
    assert not place.parents[2].exists()
    assert there.run(shell("echo on"), None).stdout == "on\n"
    assert there.write(path, "a", False)


def test_two_checkouts_never_share_a_working_folder(server: Sshd, tmp_path: Path) -> None:
    places = []
    for name in ("one", "two"):
        with on(server, tmp_path / name) as there:
            places.append(remote(there, tmp_path / name))
    assert places[0] != places[1]


# Who lets whom in


def refused(server: Sshd, root: Path, match: str) -> PipelineError:
    """The one sentence about a connection that must not come about; nothing was run."""
    with pytest.raises(PipelineError, match=match) as caught, on(server, root) as there:
        there.run(shell("true"), None)
    assert "\n" not in caught.value.message
    assert not (server.remote_home / ".kubeflow-pipeline").exists()
    return caught.value


def test_an_unknown_host_is_refused_with_the_command_that_makes_it_known(own_server: Sshd, root: Path) -> None:
    own_server.known_hosts.unlink()
    error = refused(own_server, root, r"is not in ~/\.ssh/known_hosts; it shows the key SHA256:")
    assert f"ssh-keyscan -p {own_server.port} 127.0.0.1 >> ~/.ssh/known_hosts" in error.message
    assert error.code == UNFIT
    assert not own_server.known_hosts.exists()


def test_the_command_that_makes_a_host_known_does(own_server: Sshd, root: Path) -> None:
    own_server.known_hosts.unlink()
    error = refused(own_server, root, "known_hosts")
    command = error.message.rpartition(": ")[2]
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    with on(own_server, root) as there:
        assert there.run(shell("echo in"), None).stdout == "in\n"


def test_a_host_with_another_key_than_before_is_refused(own_server: Sshd, root: Path, tmp_path: Path) -> None:
    keygen(tmp_path / "other")
    own_server.known_hosts.write_text(f"[127.0.0.1]:{own_server.port} {key_of(tmp_path / 'other')}\n")
    error = refused(own_server, root, "is not the one in ~/.ssh/known_hosts")
    assert f"ssh-keygen -R '[127.0.0.1]:{own_server.port}'" in error.message
    assert error.code == UNFIT


def test_a_jump_host_is_trusted_no_more_than_the_host(own_server: Sshd, root: Path) -> None:
    other = Sshd(root.parent / "other")
    try:
        (own_server.home / ".ssh" / "config").write_text(
            f"Host 127.0.0.1\n  ProxyJump {other.host.replace('127.0.0.1', 'localhost')}\n"
        )
        refused(own_server, root, rf"\[localhost\]:{other.port} is not in ~/\.ssh/known_hosts")
    finally:
        other.close()


def test_a_key_that_the_host_does_not_know_is_one_sentence(own_server: Sshd, root: Path) -> None:
    own_server.key.unlink()
    own_server.key.with_suffix(".pub").unlink()
    keygen(own_server.key)
    error = refused(own_server, root, "no SSH key of ours lets us in")
    assert f"ssh -p {own_server.port} " in error.message
    assert error.code == UNFIT


def test_no_key_at_all_is_one_sentence(own_server: Sshd, root: Path) -> None:
    own_server.key.unlink()
    refused(own_server, root, r"^host .*: no SSH (key|connection)")


def test_a_locked_key_is_one_sentence_and_no_question(own_server: Sshd, root: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "secret", "-f", own_server.key], check=True, capture_output=True)
    assert refused(own_server, root, "has a passphrase: unlock it with ssh-add").code == UNFIT


def test_a_key_in_the_agent_is_used(own_server: Sshd, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket_path() as path, subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        try:
            until(lambda: Path(path).exists())
            subprocess.run(["ssh-add", "-q", own_server.key], check=True, capture_output=True)
            own_server.key.unlink()
            with on(own_server, root) as there:
                assert there.run(shell("echo in"), None).stdout == "in\n"
        finally:
            agent.terminate()


@contextlib.contextmanager
def socket_path() -> Iterator[str]:
    """A socket's path that is short enough for one."""
    path = Path(f"/tmp/agent-{os.getpid()}-{free_ports(1)[0]}")  # noqa: S108
    yield str(path)
    path.unlink(missing_ok=True)


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("hashed", [False, True], ids=["plain", "hashed"])
def test_a_known_host_among_others_is_found(own_server: Sshd, root: Path, hashed: bool, tmp_path: Path) -> None:
    keygen(tmp_path / "other")
    other = key_of(tmp_path / "other")
    known = own_server.known_hosts.read_text()
    own_server.known_hosts.write_text(
        f"# a remark\n\ngithub.com,1.2.3.4 {other}\n@revoked * {other}\n@cert-authority *.example.org {other}\n{known}"
    )
    if hashed:
        subprocess.run(["ssh-keygen", "-H", "-f", own_server.known_hosts], check=True, capture_output=True)
        assert "127.0.0.1" not in own_server.known_hosts.read_text()
    with own_server.known_hosts.open("a") as file:
        file.write("nonsense\nhost ssh-rsa no-base64!\nhost ssh-new-type AAAA\n")
    with on(own_server, root) as there:
        assert there.run(shell("echo in"), None).stdout == "in\n"


def test_a_key_that_is_marked_as_revoked_is_refused(own_server: Sshd, root: Path) -> None:
    with own_server.known_hosts.open("a") as file:
        file.write(f"@revoked * {key_of(own_server.host_key)}\n")
    refused(own_server, root, "is not in ~/.ssh/known_hosts")


def test_a_broken_ssh_config_is_one_sentence(own_server: Sshd, root: Path) -> None:
    (own_server.home / ".ssh" / "config").write_text("Host\n  =\n")
    refused(own_server, root, "no SSH connection: ")


def test_a_short_name_of_the_ssh_config_will_do(own_server: Sshd, root: Path) -> None:
    user = own_server.host.partition("@")[0]
    (own_server.home / ".ssh" / "config").write_text(
        f"Host builder\n  HostName 127.0.0.1\n  Port {own_server.port}\n  User {user}\n"
    )
    with There("builder", root / "build" / "staging", root) as there:
        assert there.run(shell("echo in"), None).stdout == "in\n"


def test_a_host_that_nothing_answers_for_is_one_sentence_and_exit_1(own_server: Sshd, root: Path) -> None:
    own_server.close()
    assert refused(own_server, root, "no SSH connection: .*; try: ssh -p").code == FAILED


def test_a_name_that_leads_nowhere_is_one_sentence(own_server: Sshd, root: Path) -> None:
    with (
        pytest.raises(RunFailed, match=r"^host ann@nowhere\.invalid: no SSH connection: "),
        There("ann@nowhere.invalid", root / "build" / "staging", root) as there,
    ):
        there.run(shell("true"), None)


def test_a_port_where_no_ssh_speaks_is_given_up(own_server: Sshd, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(RunFailed, match="no SSH connection"):
        ssh.connect(f"ann@127.0.0.1:{mute.getsockname()[1]}")


def test_an_account_that_runs_no_commands_is_one_sentence(own_server: Sshd, root: Path) -> None:
    own_server.authorized.write_text(f'command="echo Only SFTP; exit 1",{own_server.authorized.read_text()}')
    refused(own_server, root, "runs no commands for us: Only SFTP")


# Ports


@contextlib.contextmanager
def shouting() -> Iterator[int]:
    """A server on the loopback that answers in capitals."""

    class Shout(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(self.rfile.read().upper())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Shout) as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield made.server_address[1]
        made.shutdown()


def answer(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as one:
        one.sendall(text)
        one.shutdown(socket.SHUT_WR)
        with one.makefile("rb") as file:
            return file.read()


def test_a_forwarded_port_leads_to_the_hosts_loopback(there: There) -> None:
    (local,) = free_ports(1)
    with shouting() as port, there.forward(local, port), ThreadPoolExecutor(8) as pool:
        texts = [b"abc", b"x" * 1_000_000, b""] * 4
        assert list(pool.map(lambda text: answer(local, text), texts)) == [text.upper() for text in texts]


def test_a_forwarded_port_outlives_a_refused_connection(there: There) -> None:
    local, port = free_ports(2)
    with there.forward(local, port):
        with contextlib.suppress(ConnectionError):
            assert answer(local, b"abc") == b""
        with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", local), 10):
            server.settimeout(10)
            server.accept()[0].close()


def test_a_forwarded_port_is_free_again_afterwards(there: There) -> None:
    local, port = free_ports(2)
    with there.forward(local, port):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", local), 1)


def test_a_local_port_that_is_taken_is_one_sentence(there: There) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RunFailed, match=f"port {port} of this machine cannot be had"), there.forward(port, 1):
            pass


# The same steps


def stage(root: Path) -> Steps:
    """A small stage with every kind of step that hands carry out."""
    changed = yield Write(root / "build" / "staging" / "a.yaml", "kind: List\n")
    again = yield Write(root / "build" / "staging" / "a.yaml", "kind: List\n")
    yield Write(root / "build" / "staging" / "key", "secret", private=True)
    yield Upload(root / "context")
    lines = yield Command(("sh", "-c", f"wc -l < {root}/build/staging/a.yaml"), "count", kind="ask", parse="text")
    found = yield Command(("ls", f"{root}/context"), "list", parse="text")
    absent = yield Command(("cat", f"{root}/absent"), "look", kind="ask", absent="No such file")
    code, _ = yield Command(("sh", "-c", "exit 1"), "compare", kind="ask", codes=(0, 1))
    answer = yield Command(("echo", '{"a": [1]}'), "ask", kind="ask", parse="json")
    yield Remove(root / "build" / "staging" / "key")
    left = yield Command(("ls", f"{root}/build/staging"), "list", kind="ask", parse="text")
    yield Result(f"{changed} {again} {lines} {found.split()} {absent} {code} {answer} {left.split()}")


def test_the_same_steps_run_in_the_same_order_with_the_same_answers_here_and_there(there: There, root: Path) -> None:
    (root / "context").mkdir()
    (root / "context" / "Dockerfile").write_text("FROM scratch")
    outcomes = []
    for hands in (Here(root / "build" / "staging"), there):
        shown: list[str] = []
        outcome = execute(stage(root), root / "build" / "staging", shown.append, hands)
        outcomes.append((outcome.text, outcome.changed, shown))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == "True False 1 ['Dockerfile'] None 1 {'a': [1]} ['a.yaml']"


def test_neither_listing_nor_working_here_imports_fabric() -> None:
    text = "import sys, tasks, pipeline.there; sys.exit(bool({'fabric', 'paramiko'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", text], cwd=ROOT, check=False).returncode == 0


def test_an_environment_with_a_host_has_one_connection_however_often_it_is_asked_for(server: Sshd) -> None:
    settings = load("staging", [f"host={server.host}"]).settings
    try:
        assert of(settings) is of(settings)
        assert isinstance(of(settings), There)
    finally:
        over.cache_clear()


def test_an_environment_without_a_host_runs_here() -> None:
    assert isinstance(of(load("staging").settings), Here)


def test_hands_are_a_with_block_on_either_machine(there: There, root: Path) -> None:
    hands: Hands
    for hands in (Here(root / "build" / "staging"), there):
        with hands as opened:
            assert opened.run(shell("echo x"), None).stdout == "x\n"
    assert there.connection is None
