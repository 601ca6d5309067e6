"""Runs of invoke in a fake cloud, each kept with what it said, what it changed and what was there afterwards."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from cloud import Cloud
from conftest import copied


@dataclass(frozen=True)
class Run:
    """One run of invoke: its exit code and words, the requests that it wrote, and what existed when it had ended."""

    code: int
    said: str
    writes: list[str]
    left: list[str]

    @property
    def summary(self) -> dict[str, str]:
        """Stage → its line at the end, without the time that it took."""
        lines = self.said.partition("\n\n")[2].splitlines()
        return {line.split()[0]: line.split(" s  ", 1)[1] for line in lines if " s  " in line}


class Flow:
    """Runs in one cloud, one after the other, by names that tests read them by."""

    elsewhere = ""
    """What shows the runs that this one's life is without; tests that ask for them skip, and say so."""

    def __init__(self, cloud: Cloud, *changes: str, env: str = "staging") -> None:
        self.cloud, self.env, self.changes = cloud, env, changes
        self.empty = cloud.world.summary()
        self.runs: dict[str, Run] = {}

    def run(self, name: str, *words: str, **extra: str) -> Run:
        """Run invoke and keep it under a name; a failure is for the tests to find."""
        sets = [word for change in self.changes for word in ("--set", change)]
        self.cloud.state.writes.clear()
        done = subprocess.run(
            self.cloud.argv(*sets, *words, env=self.env), cwd=self.cloud.checkout.root,
            env=self.cloud.environ(**extra), capture_output=True, text=True, timeout=240, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        writes, left = list(self.cloud.state.writes), self.cloud.world.summary()
        self.runs[name] = Run(done.returncode, done.stdout + done.stderr, writes, left)
        return self.runs[name]

    def __getitem__(self, name: str) -> Run:
        if name not in self.runs and self.elsewhere:
            pytest.skip(f"{self.elsewhere} shows the same: pytest --every has it here too")
        return self.runs[name]

    def new(self, name: str) -> list[str]:
        """What existed after a run and not in the empty cloud."""
        return [line for line in self[name].left if line not in self.empty]


F = TypeVar("F", bound=Flow)


@contextlib.contextmanager
def flowing(
    folder: Path, version: Path, *changes: str, env: str = "staging", real: bool = False, kind: type[F] = Flow
) -> Iterator[F]:
    """A flow in a cloud of its own, which ends with it."""
    cloud = Cloud(copied(folder / "checkout"), folder, version, real)
    try:
        yield kind(cloud, *changes, env=env)
    finally:
        cloud.close()
