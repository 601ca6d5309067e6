"""Contestants in turns: each run in an empty folder; who cannot be measured has a row that says why."""

from __future__ import annotations

import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pipeline.bench import table, venvs
from pipeline.errors import RunFailed
from pipeline.execution import say


class Entrant(Protocol):
    """Whoever takes turns; `environment` is empty for what runs in this one."""

    @property
    def name(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def requirements(self) -> tuple[str, ...]: ...
    @property
    def constraints(self) -> Path: ...


class Measured(Protocol):
    """A run's figures; `elsewhere` is the share of the processors (0 to 1) that other programs had meanwhile."""

    @property
    def elsewhere(self) -> float: ...


E = TypeVar("E", bound=Entrant)
R = TypeVar("R", bound=Measured)


@dataclass
class Turns(ABC, Generic[E, R]):
    """The contestants with their runs so far; `missing` says why one of them has none."""

    contestants: Sequence[E]
    folder: Path
    runs: dict[str, list[R]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    pythons: dict[str, str] = field(default_factory=dict)

    @abstractmethod
    def measured(self, one: E, seed: int, scratch: Path) -> R:
        """One run in an empty folder; RunFailed says why there is none."""

    def install(self) -> None:
        """Make the environments that the contestants need; where one cannot be made, the row will say so."""
        for one in self.contestants:
            if one.environment:
                with self.excused(one):
                    python = venvs.python_of(one.environment, one.requirements, self.folder, say, one.constraints)
                    self.pythons[one.environment] = python

    def take(self, one: E) -> None:
        """Run a contestant once, each time with another seed; one that has failed gets no other turn."""
        if one.name in self.missing:
            return
        seed = 1 + len(self.runs.get(one.name, []))
        with self.excused(one), self.scratch() as scratch:
            done = self.measured(one, seed, scratch)
            self.runs.setdefault(one.name, []).append(done)
            say(f"{one.name}, run {seed}: {done}")

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder that goes away afterwards."""
        made = self.folder / "run"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    @contextmanager
    def excused(self, one: E) -> Iterator[None]:
        """A contestant that needs an installation may fail, and its row says how; ours may not."""
        try:
            yield
        except RunFailed as error:
            if not one.environment:
                raise
            self.missing[one.name] = str(error.message)
            say(f"{one.name}: {table.MISSING}{error.message}")

    def python(self, one: E) -> str:
        """The interpreter of a contestant's environment."""
        return self.pythons.get(one.environment, sys.executable)

    def measured_or_missing(self) -> list[E]:
        """The contestants that have a row by now, in their order."""
        return [one for one in self.contestants if one.name in self.runs or one.name in self.missing]

    def elsewhere(self) -> float:
        """The largest share of the processors that other programs had during a run."""
        return max(run.elsewhere for runs in self.runs.values() for run in runs)
