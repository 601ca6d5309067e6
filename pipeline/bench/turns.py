"""Contestants in turns: each run is a whole process in an empty folder, measured from its start to its end."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.bench import table, venvs
from pipeline.bench.contestants import Contestant
from pipeline.bench.meter import measure
from pipeline.errors import RunFailed
from pipeline.execution import say
from pipeline.processes import environment

TEST_IMAGES = 10_000


@dataclass
class Turns:
    """The contestants with their runs so far; `missing` says why one of them has none."""

    contestants: Sequence[Contestant]
    mnist: Path
    folder: Path
    runs: dict[str, list[table.Run]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    pythons: dict[str, str] = field(default_factory=dict)

    def install(self) -> None:
        """Make the environments that the contestants need; where one cannot be made, the row will say so."""
        for one in self.contestants:
            if one.environment:
                with self.excused(one):
                    python = venvs.python_of(one.environment, one.requirements, self.folder, say)
                    self.pythons[one.environment] = python

    def take(self, one: Contestant) -> None:
        """Run a contestant once, each time with another seed; one that has failed gets no other turn."""
        if one.name in self.missing:
            return
        seed = 1 + len(self.runs.get(one.name, []))
        with self.excused(one):
            done = self.measured(one, seed)
            self.runs.setdefault(one.name, []).append(done)
            say(f"{one.name}, seed {seed}: {done}")

    @contextmanager
    def excused(self, one: Contestant) -> Iterator[None]:
        """A contestant that needs an installation may fail, and its row says how; ours may not."""
        try:
            yield
        except RunFailed as error:
            if not one.environment:
                raise
            self.missing[one.name] = str(error.message)
            say(f"{one.name}: {table.MISSING}{error.message}")

    def measured(self, one: Contestant, seed: int) -> table.Run:
        """One run in a folder that goes away afterwards."""
        scratch = self.folder / "run"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            process = one.prepare(scratch, seed, self.pythons.get(one.environment, sys.executable))
            env = environment(self.folder, {**process.env, "MNIST_DIR": str(self.mnist)})
            done = measure(process.argv, env, scratch, Path(process.cwd))
            said = one.answer(scratch, done.stdout)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if said.examples != TEST_IMAGES:
            raise RunFailed(f"it was measured on {said.examples} test images, {TEST_IMAGES:,} would be right")
        self.versions |= said.versions
        used = done.usage
        wall, cpu = used.wall_s - said.off_wall_s, used.cpu_s - said.off_cpu_s
        return table.Run(said.accuracy, said.trained, said.unit, wall, cpu, used.peak_mb, used.elsewhere)

    def rows(self) -> list[table.Row]:
        """The table's rows as far as it has got, in the contestants' order."""
        return [
            table.row(one.name, self.runs.get(one.name, []), self.missing.get(one.name, ""))
            for one in self.contestants
            if one.name in self.runs or one.name in self.missing
        ]

    def elsewhere(self) -> float:
        """The largest share of the processors that other programs had during a run."""
        return max(run.elsewhere for runs in self.runs.values() for run in runs)
