"""The turns of `invoke bench train`: whole processes, each measured from its start to its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.bench import table
from pipeline.bench.contestants import Contestant
from pipeline.bench.meter import measure
from pipeline.bench.turns import Turns
from pipeline.errors import RunFailed
from pipeline.processes import environment

TEST_IMAGES = 10_000


@dataclass
class Trainings(Turns[Contestant, table.Run]):
    """Our trainer and its peers; `mnist` is the folder with MNIST's files."""

    mnist: Path = field(kw_only=True)

    def measured(self, one: Contestant, seed: int, scratch: Path) -> table.Run:
        """One training, on all of MNIST's test images at its end."""
        process = one.prepare(scratch, seed, self.python(one))
        env = environment(self.folder, {**process.env, "MNIST_DIR": str(self.mnist)})
        done = measure(process.argv, env, scratch, Path(process.cwd))
        said = one.answer(scratch, done.stdout)
        if said.examples != TEST_IMAGES:
            raise RunFailed(f"it was measured on {said.examples} test images, {TEST_IMAGES:,} would be right")
        self.versions |= said.versions
        used = done.usage
        wall, cpu = used.wall_s - said.off_wall_s, used.cpu_s - said.off_cpu_s
        return table.Run(said.accuracy, said.trained, said.unit, wall, cpu, used.peak_mb, used.elsewhere)

    def rows(self) -> list[table.Row]:
        """The table's rows as far as it has got."""
        return [
            table.row(one.name, self.runs.get(one.name, []), self.missing.get(one.name, ""))
            for one in self.measured_or_missing()
        ]
