"""A connection to the host: opened as `ssh` opens it, but unknown machines are refused and nothing is asked."""

from __future__ import annotations

import contextlib
import logging
import shlex
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import UNFIT, PipelineError, RunFailed

SECONDS = 15
"""For the TCP connection, the greeting, the login and each new channel: a mute machine is noticed."""


def by_hand(host: str, program: str = "ssh") -> str:
    """The command to type for `user@machine:port`: `ssh` itself takes the port as an option."""
    place, _, port = host.replace("[", "").replace("]", "").partition(":")
    return shlex.join((program, *(("-p", port) if port else ()), place))


class Refuse:
    """What paramiko asks about a machine that known_hosts does not name; fabric's own answer is to trust it."""

    def __init__(self, host: str) -> None:
        self.host = host

    def missing_host_key(self, client: Any, name: str, key: Any) -> None:
        raise PipelineError(
            f"host {self.host}: {name} is not in ~/.ssh/known_hosts; it shows the key {key.fingerprint}; if that is "
            f"right: {by_hand(name, 'ssh-keyscan')} >> ~/.ssh/known_hosts",
            UNFIT,
        )


def connect(host: str) -> Any:
    """An open fabric.Connection; raises one sentence where there can be none."""
    import paramiko  # type: ignore[import-untyped]

    logging.getLogger("paramiko").addHandler(logging.NullHandler())  # or it prints tracebacks by itself
    connection = None
    try:
        connection = prepared(host)
        connection.open()
        connection.transport.set_keepalive(30)  # a quiet hour of training must not look idle to a firewall
    except paramiko.BadHostKeyException as error:
        raise PipelineError(
            f"host {host}: its key {error.key.fingerprint} is not the one in ~/.ssh/known_hosts: another machine? "
            f"If it was set up anew: ssh-keygen -R {shlex.quote(place(connection))}",
            UNFIT,
        ) from None
    except paramiko.PasswordRequiredException:
        raise PipelineError(f"host {host}: the SSH key has a passphrase: unlock it with ssh-add", UNFIT) from None
    except paramiko.AuthenticationException as error:
        raise PipelineError(
            f"host {host}: no SSH key of ours lets us in ({reason(error)}); this must work: {by_hand(host)} true", UNFIT
        ) from None
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise RunFailed(f"host {host}: no SSH connection: {reason(error)}; try: {by_hand(host)} true") from None
    finally:
        if connection is not None and not connection.is_connected:
            connection.client.close()
    return connection


def prepared(host: str) -> Any:
    """A fabric.Connection with ~/.ssh/config, the agent, the default keys and the known machines; not open yet."""
    import fabric

    config = fabric.Config(
        overrides={"timeouts": {"connect": SECONDS}}, lazy=True
    )  # lazy: no fabric.yaml, no fabric.py
    config.load_ssh_config()
    limits = {"banner_timeout": SECONDS, "auth_timeout": SECONDS, "channel_timeout": SECONDS}
    connection = fabric.Connection(host, config=config, connect_kwargs=limits)
    known(connection, host)
    return connection


def known(connection: Any, host: str) -> None:
    """Let a connection and its jump hosts trust those machines alone that known_hosts names."""
    files = ["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts", *named_files(connection.ssh_config)]
    entries = [entry for file in files for entry in entries_of(Path(file).expanduser())]
    while not isinstance(connection, str | None):
        for name, key in entries:
            connection.client.get_host_keys().add(name, key.get_name(), key)
        connection.client.set_missing_host_key_policy(Refuse(host))
        connection = connection.gateway


def entries_of(file: Path) -> Iterator[tuple[str, Any]]:
    """Each name and key of a file of known machines; paramiko's own reader gives up at a line with a marker."""
    from paramiko import SSHException
    from paramiko.hostkeys import HostKeyEntry, InvalidHostKey  # type: ignore[import-untyped]

    try:
        lines = [line.split() for line in file.read_text(errors="replace").splitlines()]
    except FileNotFoundError:
        return
    revoked = {fields[3] for fields in lines if fields[:1] == ["@revoked"] and len(fields) > 3}
    for fields in lines:
        if len(fields) < 3 or fields[0].startswith(("#", "@")) or fields[2] in revoked:
            continue
        with contextlib.suppress(InvalidHostKey, SSHException, ValueError, IndexError):  # a damaged line
            if entry := HostKeyEntry.from_line(" ".join(fields)):
                yield from ((name, entry.key) for name in entry.hostnames)


def named_files(options: Any) -> list[str]:
    """The files of known machines that ~/.ssh/config names for this host."""
    return " ".join(options.get(key, "") for key in ("userknownhostsfile", "globalknownhostsfile")).split()


def place(connection: Any) -> str:
    """The machine as known_hosts names it."""
    return str(connection.host) if connection.port == 22 else f"[{connection.host}]:{connection.port}"


def reason(error: BaseException) -> str:
    """The error's own words, on one line."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split()).rstrip(".")


class Forwarder(socketserver.ThreadingTCPServer):
    """Takes connections on the loopback and leads each to the host's own loopback."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, transport: Any, local_port: int, remote_port: int) -> None:
        self.transport, self.remote_port = transport, remote_port
        super().__init__(("127.0.0.1", local_port), Lead)


class Lead(socketserver.BaseRequestHandler):
    """One connection; where nothing listens over there, it alone is closed."""

    def handle(self) -> None:
        import paramiko

        server, near = self.server, self.request
        assert isinstance(server, Forwarder)  # noqa: S101  # it made this
        try:
            target = ("127.0.0.1", server.remote_port)
            far = server.transport.open_channel("direct-tcpip", target, self.client_address, timeout=SECONDS)
        except (paramiko.SSHException, OSError, EOFError):
            return
        with far, contextlib.suppress(OSError, EOFError):
            back = threading.Thread(target=copy, args=(far, near), daemon=True)
            back.start()
            copy(near, far)
            back.join()


def copy(source: Any, target: Any) -> None:
    """Send on what comes until the source ends, and then say so."""
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError, EOFError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def forwarding(connection: Any, local_port: int, remote_port: int) -> Iterator[None]:
    """Inside, the local port leads to the host's; fabric's own forwarder ends at the first refused connection."""
    try:
        forwarder = Forwarder(connection.transport, local_port, remote_port)
    except OSError as error:
        raise RunFailed(f"port {local_port} of this machine cannot be had: {reason(error)}") from None
    with forwarder:
        thread = threading.Thread(target=forwarder.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            forwarder.shutdown()
            thread.join()
