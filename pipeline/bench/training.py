"""`invoke bench train`: our trainer and its peers in turns, from the start of a process to a finished export."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import listing, lock
from pipeline.bench import page, table
from pipeline.bench.contestants import ACCURATE, PEERS, Contestant, ours, peer
from pipeline.bench.mnist import mnist_of
from pipeline.bench.trainings import Trainings
from pipeline.execution import say
from pipeline.processes import unwinding_on_sigterm
from pipeline.settings import ROOT, Settings

FOLDER = ROOT / "build" / "bench"

SMOKE = {"images": 2000, "cap": 1}
"""What --quick leaves of a peer."""


def bench(settings: Settings, dry: bool, rounds: int, quick: bool, scaling: bool) -> None:
    """Measure, and write the table to the page; with `quick` a few steps and no page, with `scaling` another table."""
    mnist = mnist_of(settings)
    kind = "scaling" if scaling else "quick" if quick else "train"
    name = "train --scaling" if scaling else "train"
    if not quick:
        page.block(page.PAGE.read_text(), name)  # before half an hour has passed
    contestants = {"train": entered, "scaling": grown, "quick": hurried}[kind](settings, mnist)
    if dry:
        rehearse(contestants)
        return
    with unwinding_on_sigterm(), lock.hold(FOLDER, "bench train"):
        turns = Trainings(contestants, FOLDER, mnist=mnist)
        turns.install()
        load = os.getloadavg()[0]
        for number in range(1, 2 if quick else rounds + 1):
            say(f"==> round {number}")
            for one in order(contestants, kind):
                turns.take(one)
            show(turns)
            if not quick:
                page.put(name, told(turns, number, load))
    say("--quick: these figures mean nothing" if quick else f"written to {page.PAGE.relative_to(ROOT)}")


def entered(settings: Settings, mnist: Path) -> list[Contestant]:
    """Our default, its peers, and our recipe for 99.4 %."""
    best = ours(settings, "`accurate`", ACCURATE)
    return [default(settings), *(peer(one, mnist, {}) for one in PEERS), best]


def hurried(settings: Settings, mnist: Path) -> list[Contestant]:
    """Some of them for a few steps, in the environment that is there: no installation."""
    here = [one for one in PEERS if one.environment == "tensorflow" and one.target < 1]
    smaller = [replace(peer(one, mnist, SMOKE), environment="") for one in here]
    return [ours(settings, f"`{settings.training.model}`", {"steps": 20}), *smaller]


def grown(settings: Settings, mnist: Path) -> list[Contestant]:
    """Our default with other numbers of steps, then with other batches over as many images, then with workers."""
    steps, batch = settings.training.steps, settings.training.batch_size
    sizes = [{"steps": steps * part // 2} for part in (1, 4, 8)]
    sizes += [{"steps": steps * batch // other, "batch_size": other} for other in (32, 128, 256) if other != batch]
    sizes += [{"workers": count} for count in (1, 2)]
    return [default(settings), *(ours(settings, sized(settings, changes), changes) for changes in sizes)]


def default(settings: Settings) -> Contestant:
    return ours(settings, f"`{settings.training.model}`, as `{settings.environment}` has it", {})


def sized(settings: Settings, changes: dict[str, Any]) -> str:
    """A row's name in the table of growth."""
    training = settings.training.model_copy(update=changes)
    beside = f", the chief and {training.workers} worker{'s' * (training.workers > 1)}" if training.workers else ""
    return f"{training.steps:,} steps of {training.batch_size}{beside}"


def order(contestants: list[Contestant], kind: str) -> Iterator[Contestant]:
    """The turns of a round: against peers ours stands before each of them, for its figures to bear the same load."""
    first, *others = contestants
    if kind != "train":
        yield from contestants
        return
    for one in others:
        yield from (first, one)


def rehearse(contestants: list[Contestant]) -> None:
    """Print what would run."""
    for one in contestants:
        say(shlex.join(one.prepare(FOLDER / "run", 1, sys.executable).argv))
    shutil.rmtree(FOLDER / "run", ignore_errors=True)  # folders that a pod would have mounted


def show(turns: Trainings) -> None:
    """Print the table as it is now."""
    for line in listing.table(table.cells(turns.rows())):
        say(line)


def told(turns: Trainings, rounds: int, load: float) -> str:
    """The page's part: when and where, the table, the versions."""
    machine = page.measured_on(rounds, turns.elsewhere(), (load, os.getloadavg()[0]))
    return "\n".join([machine, "", table.markdown(table.cells(turns.rows())), page.versions(turns.versions)])
