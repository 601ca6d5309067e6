"""Tune: a search for better values of the training's settings; the best become a version."""

from __future__ import annotations

import shlex
from functools import partial

from pipeline import clusters, storage, tuning
from pipeline.answering import Say
from pipeline.clusters import experiments, search
from pipeline.commands import Asking, Call, Note, Probe, Result, Steps, Unchanged
from pipeline.errors import RunFailed
from pipeline.listing import given_besides, table
from pipeline.settings import Settings
from pipeline.stages import brought_up
from pipeline.stages import train as training
from pipeline.tuning import Trial


def up(settings: Settings, no_train: bool = False) -> Steps:
    yield from clusters.of(settings).guard(settings)
    if settings.cluster.kind == "local":
        yield from here(settings)
    else:
        yield from on_katib(settings)
    best = yield from told(settings)
    if best is None:
        yield Note("then a version is trained with the best values, on all training images", always=True)
        yield Result("<version>")
    elif no_train:
        yield Result(f"{tuning.figure(settings, best)} with {tuning.told(best.values)}")
        yield Note(f"a version of it: {command(settings, best)}", always=True)
    else:
        yield from training.up(tuning.taken_up(settings, best))
        yield Result(f"from {best.name} of tune-{tuning.experiment(settings)}: {tuning.told(best.values)}")


def command(settings: Settings, best: Trial) -> str:
    """What to type for a version of the best trial's values."""
    given = given_besides(tuning.taken_up(settings, best))
    changes = [word for change in given if not change.startswith("tuning.") for word in ("--set", change)]
    return shlex.join(["invoke", f"--env={settings.environment}", "train", *changes])


def here(settings: Settings) -> Steps:
    """Run the trials that are left as processes of this machine."""
    left = yield Probe("which trials are left", partial(remaining, settings), "trials")
    if left:
        yield Call(f"search as tune-{tuning.experiment(settings)}: {left}", partial(begun, settings), makes="trials")
    else:
        yield Unchanged(f"all trials of tune-{tuning.experiment(settings)} have ended")


def remaining(settings: Settings) -> str:
    """How many trials are left, in words; empty where none are."""
    found = tuning.ended(settings)
    many = tuning.total(settings) - len(found)
    if not tuning.due(settings, found):
        return ""
    return f"{max(1, many)} of {tuning.total(settings)} trials, {settings.tuning.parallel} at once"


def begun(settings: Settings, show: Say) -> None:
    storage.of(settings).create()
    search.run(settings, show)


def on_katib(settings: Settings) -> Steps:
    """Let Katib run the search, unless it has done so."""
    name = tuning.experiment(settings)
    yield from experiments.required(settings)
    if (yield from experiments.succeeded(settings, f"tune-{name}")):
        yield Unchanged(f"Experiment tune-{name} has ended well")
        return
    yield from brought_up(settings, "preflight", tag=name)
    yield from brought_up(settings, "tune", tag=name, makes="trials")
    yield from experiments.watched(settings, f"tune-{name}")


def told(settings: Settings) -> Asking:
    """Show what the trials reached; the best of them, None where nobody can know yet."""
    found: list[Trial] | None = yield Probe(
        "what the trials reached", partial(tuning.ended, settings), None, needs=("trials", "bucket")
    )
    if found is None:
        return None
    for line in table(tuning.rows(settings, found)):
        yield Note(line)
    best = tuning.winner(settings, found)
    if best is None:
        why = f"; one of them: {found[-1].failure}" if found and found[-1].failure else ""
        place = f"{settings.bucket}/{tuning.folder(settings)}"
        raise RunFailed(f"no trial went to its end and left a result in {place}{why}")
    return best
