"""Processes we start: each in a group of its own, marked in its environment, and ended with the whole group."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

MARK = "PIPELINE_BUILD"
"""Variable that says for which build folder a process runs: how the next start finds what a crash left."""

PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "MNIST_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
             "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")  # fmt: skip
"""All that a process gets of the caller's environment: a container would get none of it."""

KEPT = 1_000_000
"""Bytes of a command's output that are kept, the last ones: an error stands at the end."""


@dataclass(frozen=True)
class Finished:
    """How a command ended: exit code (negative: the signal), and the last megabyte of each stream."""

    code: int
    stdout: str
    stderr: str
    timed_out: bool = False


class Terminated(SystemExit):
    """SIGTERM, or a closed terminal: unwind as Ctrl-C does, so that children are ended; exit with 128 + the signal."""


def raise_terminated(number: int, frame: FrameType | None) -> None:
    raise Terminated(128 + number)


@contextlib.contextmanager
def unwinding_on_sigterm() -> Iterator[None]:
    """Inside, SIGTERM raises Terminated; without this Python dies at once and leaves its children behind."""
    before = {
        number: signal.signal(number, raise_terminated) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def environment(build: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a process we start: the few passed on, `extra`, and our mark."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if "MNIST_DIR" in passed:  # the process runs in another folder than the caller
        passed["MNIST_DIR"] = str(Path(passed["MNIST_DIR"]).absolute())
    return {**passed, "KERAS_HOME": str(build / "keras"), "PYTHONUNBUFFERED": "1", **(extra or {}), MARK: str(build)}


class Tail:
    """One stream of a running command: its last KEPT bytes, and its lines as they come."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self.on_line, self.pieces, self.size, self.line = on_line, deque[bytes](), 0, b""

    def add(self, data: bytes) -> None:
        """Take what was read; empty at the end of the stream."""
        self.pieces.append(data)
        self.size += len(data)
        while self.size - len(self.pieces[0]) >= KEPT:
            self.size -= len(self.pieces.popleft())
        if self.on_line:
            *lines, line = (self.line + data).split(b"\n")
            self.line = line[-65536:]  # a line without end must not grow without bound
            for whole in lines if data or not line else [*lines, line]:
                self.on_line(whole.decode(errors="replace").rstrip("\r"))

    def text(self) -> str:
        return b"".join(self.pieces)[-KEPT:].decode(errors="replace")


def run(
    argv: Iterable[str],
    env: Mapping[str, str],
    cwd: Path | None = None,
    timeout: float = 600.0,
    on_line: Callable[[str], None] | None = None,
) -> Finished:
    """Run a command to its end, reading both streams in linear time and bounded memory.

    However this ends (time-out, Ctrl-C, SIGTERM, an error), the command's whole process group has ended.
    Raises FileNotFoundError where there is no such program.
    """
    deadline = time.monotonic() + timeout
    child = subprocess.Popen(
        tuple(argv), env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    out, err = Tail(on_line), Tail(on_line)
    timed_out = False
    try:
        read(child, out, err, deadline)
        child.wait(max(0.0, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        timed_out = True
    finally:
        end_group(child)
    return Finished(child.returncode, out.text(), err.text(), timed_out)


def read(child: subprocess.Popen[bytes], out: Tail, err: Tail, deadline: float) -> None:
    """Read until both streams close; raises TimeoutError at the deadline (a grandchild may hold a pipe open)."""
    with selectors.DefaultSelector() as selector:
        for pipe, tail in ((child.stdout, out), (child.stderr, err)):
            assert pipe is not None  # noqa: S101  # both were asked for
            selector.register(pipe, selectors.EVENT_READ, tail)
        while selector.get_map():
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                data = os.read(key.fd, 65536)
                key.data.add(data)
                if not data:
                    selector.unregister(key.fileobj)
            if time.monotonic() >= deadline and selector.get_map():
                raise TimeoutError


def end_group(child: subprocess.Popen[bytes], grace: float = 5.0) -> None:
    """End a child and every process of its group: SIGTERM, up to `grace` seconds, SIGKILL; then reap it."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 2.0)):
        deadline = time.monotonic() + seconds
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: the latter for zombies
            os.killpg(child.pid, number)
            while time.monotonic() < deadline:
                child.poll()  # reap it, or its group never empties
                os.killpg(child.pid, 0)
                time.sleep(0.02)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe:
            pipe.close()


def marked(build: Path) -> list[psutil.Process]:
    """Every live process but this one that runs for a build folder, whoever started it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(MARK) == str(build):
                found.append(process)
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def end(processes: Iterable[psutil.Process], grace: float = 10.0) -> int:
    """End these processes, kindly first; how many were still there."""
    there = list(processes)
    for process in there:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(there, timeout=grace)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(there, timeout=2.0)
    return len(there)


def runs(process: psutil.Process, argv: Sequence[str]) -> bool:
    """Whether a process was started with this argv; a script's stands behind its interpreter."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()[-len(argv) + 1 :] == list(argv[1:])
    return False


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
