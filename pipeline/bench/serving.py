"""`invoke bench serve`: our server, a bare echo and servers of others in turns, each from its start to its end."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline import listing, lock
from pipeline.bench import figures, page, table, verdicts
from pipeline.bench.mnist import mnist_of
from pipeline.bench.model import Model, converted, made, refuse_others, training
from pipeline.bench.plans import Load, Plan
from pipeline.bench.servers import TENSORFLOW, Server, entered
from pipeline.bench.turns import Turns
from pipeline.bench.wire import WAYS
from pipeline.errors import RunFailed
from pipeline.execution import say
from pipeline.processes import environment, free_port, run, unwinding_on_sigterm
from pipeline.settings import ROOT, Settings

FOLDER = ROOT / "build" / "bench"

MODEL_FOLDER = FOLDER / "model"

SECONDS, QUICK = 5.0, 0.4
"""How long each number of clients asks."""

LIMIT = 300.0
"""Seconds that one turn may take."""


@dataclass
class Servings(Turns[Server, Load]):
    """The servers, on one model; `seconds` is how long each number of clients asks."""

    model: Model = field(kw_only=True)
    seconds: float = field(kw_only=True)

    def measured(self, one: Server, seed: int, scratch: Path) -> Load:
        """One turn of a server's, by a load generator in a process of its own."""
        port, plan, log = free_port(), scratch / "plan.json", scratch / "server.log"
        process = one.prepare(self.model, scratch, port, self.python(one))
        phases = [(clients, self.seconds) for clients in figures.CLIENTS]
        asked = Plan(process.argv, process.cwd, str(log), one.way, port, str(self.model.served), phases)
        plan.write_text(json.dumps(asdict(asked)))
        argv = (sys.executable, "-m", "pipeline.bench.load", str(plan))
        done = run(argv, environment(self.folder, process.env), ROOT, LIMIT)
        if done.timed_out or done.code:
            why = "took too long" if done.timed_out else (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise RunFailed(why if one.environment else f"{one.name}: {why}")  # a row says itself whose it is
        return Load.read(json.loads(done.stdout))

    def furnish(self) -> None:
        """Install the peers and give them their ONNX file; where that cannot be made, their rows will say so."""
        self.install()
        try:
            self.versions |= converted(self.model, self.folder)
        except RunFailed as error:
            peers = [one.name for one in self.contestants if one.environment]
            self.missing = {**dict.fromkeys(peers, str(error.message)), **self.missing}

    def rows(self) -> list[figures.Row]:
        """The table's rows as far as it has got."""
        return [
            figures.row(one.name, WAYS[one.way].over, self.runs.get(one.name, []), self.missing.get(one.name, ""))
            for one in self.measured_or_missing()
        ]


def bench(settings: Settings, dry: bool, rounds: int, quick: bool) -> None:
    """Measure, and write the tables to the page; with `quick` for moments, what needs no installation, and no page."""
    refuse_others(settings)
    mnist = None if quick else mnist_of(settings)
    if not quick:
        page.block(page.PAGE.read_text(), "serve")  # before a quarter of an hour has passed
    contestants = entered(settings, quick)
    if dry:
        rehearse(settings, contestants, mnist)
        return
    with unwinding_on_sigterm(), lock.hold(FOLDER, "bench serve"):
        try:
            model = made(settings, MODEL_FOLDER, FOLDER, mnist)
            turned(contestants, model, 1 if quick else rounds, quick)
        finally:
            shutil.rmtree(MODEL_FOLDER, ignore_errors=True)
    say("--quick: these figures mean nothing" if quick else f"written to {page.PAGE.relative_to(ROOT)}")


def turned(contestants: list[Server], model: Model, rounds: int, quick: bool) -> None:
    """Every round, with the tables as they are after it."""
    entrants = able(contestants, model)
    turns = Servings(entrants, FOLDER, model=model, seconds=QUICK if quick else SECONDS)
    if not quick:
        turns.furnish()
        turns.versions |= versions(entrants)
    load = os.getloadavg()[0]
    for number in range(1, rounds + 1):
        say(f"==> round {number}")
        for one in entrants:
            turns.take(one)
        show(turns.rows(), quick)
        if not quick:
            page.put("serve", told(turns, number, load))


def able(contestants: list[Server], model: Model) -> list[Server]:
    """Without a LiteRT copy ours is served by TensorFlow anyway, and needs no second row for that."""
    return [one for one in contestants if one.name != TENSORFLOW or model.has_copy]


def versions(entrants: list[Server]) -> dict[str, str]:
    """What serves and what asks."""
    pinned = dict(one.split("==") for entrant in entrants for one in entrant.requirements)
    own = {name: importlib.metadata.version(name) for name in ("aiohttp", "grpcio", "numpy", "tensorflow")}
    return {**pinned, **own, "python": platform.python_version()}


def rehearse(settings: Settings, contestants: list[Server], mnist: Path | None) -> None:
    """Print what would run."""
    folder = FOLDER / "run"
    folder.mkdir(parents=True, exist_ok=True)
    say(shlex.join(training(settings, folder, mnist).argv))
    for one in able(contestants, Model(folder)):
        say(shlex.join(one.prepare(Model(folder), folder, free_port(), sys.executable).argv))
    shutil.rmtree(folder, ignore_errors=True)


def show(rows: list[figures.Row], quick: bool) -> None:
    """Print the tables as they are now; from moments nothing follows."""
    reached = [] if quick else [verdicts.HEAD, *verdicts.verdicts(rows)]
    for line in [*listing.table(figures.cells(rows)), *listing.table(reached)]:
        say(line)


def told(turns: Servings, rounds: int, load: float) -> str:
    """The page's part: when and where, the tables, the versions."""
    machine = page.measured_on(rounds, turns.elsewhere(), (load, os.getloadavg()[0]))
    measured, reached = figures.cells(turns.rows()), [verdicts.HEAD, *verdicts.verdicts(turns.rows())]
    tables = table.markdown(measured, words=2), table.markdown(reached)
    return "\n".join([machine, "", *tables, page.versions(turns.versions)])
