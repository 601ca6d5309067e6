"""The environment's host as a machine to carry steps out on: the same steps, below a working folder of its own."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import platform
import re
import secrets
import shlex
import threading
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline import leash, ssh
from pipeline.commands import Command
from pipeline.errors import RunFailed
from pipeline.images import left_out
from pipeline.processes import MARK, Finished

FOLDER = ".kubeflow-pipeline"
"""In the home folder over there: one folder for each environment of each checkout that works on the host."""


def working_folder(build: Path, root: Path) -> str:
    """`<environment>-<hash>`: two people, machines or checkouts never share one."""
    whose = f"{getpass.getuser()}@{platform.node()}:{root}"
    return f"{FOLDER}/{build.name}-{hashlib.sha256(whose.encode()).hexdigest()[:8]}"


class There:
    """A host over SSH: one connection, opened by the first step that needs it."""

    def __init__(self, host: str, build: Path, root: Path) -> None:
        self.host, self.build, self.root = host, build, root
        self.lock = threading.RLock()  # questions come from several threads at once
        self.connection: Any = None
        self.base = PurePosixPath()
        self.outside: list[Path] = []
        self.made: set[PurePosixPath] = set()
        self.running: dict[int, Any] = {}

    def __enter__(self) -> There:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, unless another thread's command runs over it; the next step opens another."""
        if not self.running:
            self.drop()

    def drop(self) -> None:
        """Let go of the connection, whatever its state."""
        with self.lock:
            if self.connection is not None:
                self.connection.close()
                self.connection.client.close()  # fabric leaves a lost connection's socket open
            self.connection = None
            self.made.clear()

    def connected(self) -> Any:
        """The connection, opened where there is none or the last one was lost."""
        with self.lock:
            if self.connection is None or not self.connection.is_connected:
                self.drop()
                self.connection = ssh.connect(self.host)
                home = leash.run(self.connection, self.host, ("sh", "-c", 'echo "$HOME"'), {}, "/", ssh.SECONDS, None)
                self.base = PurePosixPath(home.stdout.strip()) / working_folder(self.build, self.root)
                with self.filing(self.build):
                    self.folder(self.place(self.build))
            return self.connection

    def place(self, path: Path) -> PurePosixPath:
        """Where a path of this machine lies over there: the checkout is mirrored, the rest is below `outside`."""
        if path.is_relative_to(self.root):
            return self.base / path.relative_to(self.root)
        return self.base / "outside" / path.relative_to(path.anchor)

    def told(self, text: str) -> str:
        """A word of a command, with every path of this machine that we brought over as it is there."""
        for local in (self.root, *self.outside):
            remote = str(self.place(local)).replace("\\", r"\\")
            text = re.sub(rf"(?:(?<![\w/.-])|(?<=://)){re.escape(str(local))}(?![\w.-])", remote, text)
        return text

    def run(self, command: Command, on_line: Callable[[str], None] | None) -> Finished:
        connection = self.connected()
        self.folder(self.place(self.build))  # `discard` may have removed it
        env = {"PYTHONUNBUFFERED": "1", **command.env, MARK: str(self.build)}
        try:
            return leash.run(
                connection, self.host, [self.told(word) for word in command.argv],
                {name: self.told(value) for name, value in env.items()}, str(self.place(command.cwd or self.root)),
                command.timeout, on_line, lambda channel: self.running.update({id(command): channel}),
            )  # fmt: skip
        finally:
            self.running.pop(id(command), None)

    def interrupt(self, command: Command) -> None:
        if channel := self.running.get(id(command)):
            leash.let_go(channel)

    def write(self, path: Path, text: str, private: bool) -> bool:
        self.connected()
        with self.lock, self.filing(path) as sftp:
            target, data = self.place(path), text.encode()
            with contextlib.suppress(FileNotFoundError), sftp.open(str(target), "rb") as file:
                if file.read() == data:
                    return False
            self.put(sftp, target, data, 0o600 if private else 0o644)
        return True

    def put(self, sftp: Any, target: PurePosixPath, data: bytes, mode: int) -> None:
        """Put a file there whole or not at all, never readable by more people than at its end."""
        self.folder(target.parent)
        partial = str(target.with_name(f".{target.name}.{secrets.token_hex(4)}"))
        try:
            with sftp.open(partial, "wb") as file:
                file.chmod(mode)
                file.set_pipelined(True)
                file.write(data)
            sftp.posix_rename(partial, str(target))
        except OSError:
            with contextlib.suppress(OSError):
                sftp.remove(partial)
            raise

    def folder(self, folder: PurePosixPath) -> None:
        """Make a folder and those above it, for us alone; where that fails, the file's own failure says why."""
        with self.lock:
            if folder not in self.made and FOLDER in folder.parts:
                self.folder(folder.parent)
                with contextlib.suppress(OSError):
                    self.connection.sftp().mkdir(str(folder), 0o700)
                self.made.add(folder)

    def upload(self, path: Path) -> None:
        """Mirror a folder or file: send what differs, delete what is gone, leave out what is no part of an image."""
        if not path.exists():  # what was only ever written over there
            return
        self.connected()
        if not path.is_relative_to(self.root) and path not in self.outside:
            self.outside.append(path)
        target = self.place(path)
        there, runnable = self.listed(target)
        here = {"": path} if path.is_file() else {file.relative_to(path).as_posix(): file for file in sources(path)}
        with self.lock, self.filing(path) as sftp:
            for name in there.keys() - here.keys():
                sftp.remove(str(target / name))
            if there.keys() - here.keys():
                self.do("find", str(target), "-mindepth", "1", "-depth", "-type", "d", "-exec", "rmdir", "{}", "+")
                self.made.clear()
            for name, file in here.items():
                data, executable = file.read_bytes(), bool(file.stat().st_mode & 0o100)
                if there.get(name) != hashlib.sha256(data).hexdigest() or (name in runnable) != executable:
                    self.put(sftp, target / name, data, 0o755 if executable else 0o644)

    def listed(self, target: PurePosixPath) -> tuple[dict[str, str], set[str]]:
        """The files that are there, with their SHA-256, and which of them can be run; a file itself is named ""."""
        text = f"""test -e {shlex.quote(str(target))} || exit 0
find {shlex.quote(str(target))} -type f -exec sha256sum {{}} +
find {shlex.quote(str(target))} -type f -perm -100"""
        hashes, runnable = dict[str, str](), set[str]()
        for line in self.do("sh", "-c", text).splitlines():
            digest, name = re.fullmatch(r"(?:([0-9a-f]{64})  )?(.*)", line).groups()  # type: ignore[union-attr]
            if PurePosixPath(name).is_relative_to(target):
                name = name.removeprefix(str(target)).lstrip("/")
                hashes.update({name: digest} if digest else {})
                runnable.update([] if digest else [name])
        return hashes, runnable

    def do(self, *argv: str) -> str:
        """Run one of our own small commands there."""
        done = self.run(Command(argv, "keep the working folder", timeout=120), None)
        return done.stdout

    def remove(self, path: Path) -> None:
        self.connected()
        with self.lock, self.filing(path) as sftp, contextlib.suppress(FileNotFoundError):
            sftp.remove(str(self.place(path)))

    def discard(self) -> None:
        """Remove the whole working folder: the last thing that `clean` does there."""
        self.connected()
        self.do("rm", "-rf", "--", str(self.base))
        self.made.clear()

    @contextlib.contextmanager
    def forward(self, local_port: int, remote_port: int) -> Iterator[None]:
        """Inside, a port of this machine's loopback leads to one of the host's loopback."""
        with ssh.forwarding(self.connected(), local_port, remote_port):
            yield

    @contextlib.contextmanager
    def filing(self, path: Path) -> Iterator[Any]:
        """SFTP, with its failures told in one sentence."""
        import paramiko  # type: ignore[import-untyped]

        try:
            yield self.connection.sftp()
        except paramiko.SFTPError:  # what a login prints comes between SFTP's packets
            raise RunFailed(
                f"host {self.host}: SFTP does not work: is it on there, and does ~/.bashrc print something? "
                f"Try: {ssh.by_hand(self.host, 'sftp').replace(' -p ', ' -P ')}"
            ) from None
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise RunFailed(f"host {self.host}: could not keep {path.name} there: {ssh.reason(error)}") from None


def sources(folder: Path) -> Iterator[Path]:
    """The files of a folder that are part of an image, as its tag counts them."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not left_out(path))
