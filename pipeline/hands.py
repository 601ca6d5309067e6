"""Where commands run: on this machine, or over SSH on the environment's `host`."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

from pipeline import files
from pipeline.commands import Command
from pipeline.errors import UNFIT, PipelineError
from pipeline.processes import Finished, environment, marked, run, runs
from pipeline.settings import ROOT, Settings


class Hands(Protocol):
    """What `execution` needs of a machine to carry steps out on it."""

    def run(self, command: Command, on_line: Callable[[str], None] | None) -> Finished:
        """Run to the end; raises PipelineError (exit 3) where the program is missing."""

    def interrupt(self, command: Command) -> None:
        """End a command that another thread runs; none of that kind is fine."""

    def write(self, path: Path, text: str, private: bool) -> bool:
        """Write a file whole; whether it was different before."""

    def upload(self, path: Path) -> None:
        """Bring a folder or file of this machine to where commands run."""

    def remove(self, path: Path) -> None:
        """Delete a file of ours; none there is fine."""

    def discard(self) -> None:
        """Remove what only the way to run commands elsewhere has needed: a host's working folder."""

    def forward(self, local_port: int, remote_port: int) -> contextlib.AbstractContextManager[None]:
        """Inside, a loopback port of this machine leads to the one where commands run."""

    def close(self) -> None:
        """Be done for now; a later step begins anew."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Here:
    """This machine."""

    def __init__(self, build: Path) -> None:
        self.build = build

    def run(self, command: Command, on_line: Callable[[str], None] | None) -> Finished:
        try:
            return run(command.argv, environment(self.build, command.env), command.cwd, command.timeout, on_line)
        except FileNotFoundError:
            raise PipelineError(f"{command.argv[0]} is not on this machine's PATH: install it", UNFIT) from None

    def interrupt(self, command: Command) -> None:
        for process in marked(self.build):
            if runs(process, command.argv):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGTERM)  # to reap it is for `run`, which wants its code

    def write(self, path: Path, text: str, private: bool) -> bool:
        return files.write(path, text, private)

    def upload(self, path: Path) -> None:
        """It is here."""

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Everything is in the build folder."""

    def forward(self, local_port: int, remote_port: int) -> contextlib.AbstractContextManager[None]:
        """It is the same port."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def of(settings: Settings) -> Hands:
    """The hands of an environment: on a host always the same ones, so that a run has one connection."""
    return Here(settings.build) if settings.host is None else over(settings.host, settings.build)


@functools.cache
def over(host: str, build: Path) -> Hands:
    """The hands on a host; their connection is closed when this program ends, if not before."""
    from pipeline.there import There

    hands = There(host, build, ROOT)
    atexit.register(hands.drop)
    return hands
