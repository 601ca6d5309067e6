"""Who is let in, and who is trusted: every refusal is one sentence, and nothing was run."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import free_ports
from fakes.sshd import Sshd, key_of, keygen
from pipeline import leash, ssh
from pipeline.errors import FAILED, UNFIT, RunFailed
from pipeline.there import There
from tests.remote.machine import on, refused, shell, until


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


def test_an_account_that_has_ended_before_it_was_told_anything_is_the_same_sentence(
    own_server: Sshd, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_server.authorized.write_text(f'command="echo Only SFTP; exit 1",{own_server.authorized.read_text()}')
    tell = leash.tell

    def late(channel: Any, text: str) -> None:
        until(lambda: channel.closed)
        tell(channel, text)

    monkeypatch.setattr(leash, "tell", late)
    refused(own_server, root, "runs no commands for us: Only SFTP")
