"""What the tests of the host share: a checkout's hands on it, and a look at what runs and lies there."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fakes.sshd import Sshd
from pipeline.commands import Command
from pipeline.errors import PipelineError
from pipeline.there import There


def at_home(server: Sshd, patch: pytest.MonkeyPatch) -> Sshd:
    """The server, with its home folder as ours: its keys and known machines, and no agent."""
    patch.setenv("HOME", str(server.home))
    patch.delenv("SSH_AUTH_SOCK", raising=False)
    return server


@contextlib.contextmanager
def on(server: Sshd, root: Path) -> Iterator[There]:
    with There(server.host, root / "build" / "staging", root) as made:
        yield made


def remote(there: There, path: Path) -> Path:
    """A path of the host: the same file system, as it happens."""
    there.connected()
    return Path(there.place(path))


def shell(text: str, **more: object) -> Command:
    return Command(("sh", "-c", text), "run a line of shell", **more)  # type: ignore[arg-type]


def gone(pid: int, seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def pids(path: Path) -> list[int]:
    """The process numbers that a command has noted down, once they are there."""
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [int(word) for word in path.read_text().split()]


def command_lines() -> list[str]:
    """The command line of every process of this machine."""
    lines = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            lines.append(" ".join(process.cmdline()))
    return lines


def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refused(server: Sshd, root: Path, match: str) -> PipelineError:
    """The one sentence about a connection that must not come about; nothing was run."""
    with pytest.raises(PipelineError, match=match) as caught, on(server, root) as there:
        there.run(shell("true"), None)
    assert "\n" not in caught.value.message
    assert not (server.remote_home / ".kubeflow-pipeline").exists()
    return caught.value
