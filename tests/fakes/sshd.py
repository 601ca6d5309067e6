"""A real sshd on a loopback port, with a host key, a login and a home folder of its own, for tests of `host:`."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

PROGRAM = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = "sshd is not installed: apt-get install openssh-server"


class Sshd:
    """A server that lets in whoever has `key`; `home` is this side's home folder, with ~/.ssh as `ssh` expects it.

    The commands run as the user who runs the tests, with `remote_home` as their HOME and these variables.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        assert PROGRAM is not None, MISSING
        self.folder, self.home, self.remote_home = folder, folder / "home", folder / "remote"
        for made in (self.home / ".ssh", self.remote_home):
            made.mkdir(parents=True, mode=0o700)
        if os.getuid() == 0:  # the server's own folder for the privilege that it gives up
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.key, self.host_key = self.home / ".ssh" / "id_ed25519", folder / "host_key"
        for key in (self.key, self.host_key):
            keygen(key)
        self.authorized = folder / "authorized_keys"
        env = {"HOME": str(self.remote_home), **(variables or {})}
        options = ",".join(f'environment="{name}={value}"' for name, value in env.items())
        self.authorized.write_text(f"{options} {key_of(self.key)}\n")
        self.authorized.chmod(0o600)
        self.port = free_port()
        self.known_hosts = self.home / ".ssh" / "known_hosts"
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {key_of(self.host_key)}\n")
        self.process = self.start()

    @property
    def host(self) -> str:
        return f"{getpass.getuser()}@127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen[bytes]:
        config = self.folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.authorized}\nStrictModes no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nPermitRootLogin yes\nPermitUserEnvironment yes\n"
            "Subsystem sftp internal-sftp\n"
        )
        with (self.folder / "sshd.log").open("ab") as log:
            process = subprocess.Popen([str(PROGRAM), "-D", "-e", "-f", str(config)], stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port), 1):
                return process
            time.sleep(0.02)
        raise AssertionError((self.folder / "sshd.log").read_text())

    def sessions(self) -> list[psutil.Process]:
        """The server's processes for connections that are open, each with what it started."""
        return [child for child in psutil.Process(self.process.pid).children(recursive=True) if child.is_running()]

    def cut(self) -> None:
        """End the server and its sessions at once, as a machine that loses its network; what they started goes on."""
        servers = [child for child in self.sessions() if child.name() == "sshd"]
        for server in [psutil.Process(self.process.pid), *servers]:
            server.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            left = self.sessions()
            self.process.terminate()
            self.process.wait()
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()


def keygen(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


def key_of(path: Path) -> str:
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
