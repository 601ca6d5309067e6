"""The experiments of `invoke tune`: what each is known by, what its trials reached, which comes next, and which won."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline import storage, trials, versions
from pipeline.settings import Settings
from pipeline.spaces import Value, rounded, written

ETA = 3
"""Halving: after each round the best of so many goes on, for so many times the steps."""

FLAGS = {"model": "model_type"}
"""Settings of the training that the trainer calls by another name."""

RESULT = re.compile(r"(?P<trial>[^/]+)/(?P<kind>validation|failed)-[0-9]+\.json")


@dataclass(frozen=True)
class Trial:
    """A trial that has ended: its name, what it was given, and what it reached, or why it failed."""

    name: str
    steps: int
    values: Mapping[str, Value] = field(hash=False)
    accuracy: float = math.nan
    loss: float = math.nan
    seconds: float = math.nan
    failure: str = ""


def experiment(settings: Settings) -> str:
    """What a search is known by, ten digits of a hash: the same settings, code and data go on with it.

    On this machine more trials, or another algorithm, go on with it too; an Experiment of Katib's cannot be changed.
    """
    varied = {f"training.{one.name}" for one in settings.tuning.parameters} | {"training.steps"}
    tuning = settings.tuning
    given: dict[str, Any] = {name: text for name, text in versions.inputs(settings).items() if name not in varied}
    given["tuning"] = [tuning.steps, tuning.validation_share, tuning.seed, sorted(map(str, tuning.parameters))]
    if settings.cluster.kind != "local":
        given["katib"] = [tuning.algorithm, tuning.trials, tuning.metric]
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:10]


def folder(settings: Settings) -> str:
    """Where an experiment's trials are, in the bucket."""
    return f"tune/tune-{experiment(settings)}"


def values_of(settings: Settings, number: int) -> dict[str, Value]:
    """What a trial on this machine is given; the numbers begin with 1."""
    return {one.name: one.drawn(settings.tuning.seed, number) for one in settings.tuning.parameters}


def place_of(settings: Settings, number: int, steps: int) -> str:
    """The name of a trial, and so of its checkpoints.

    With a constant rate it goes on in its own folder for more steps; any other schedule is made for a number of steps,
    so that a longer trial starts anew.
    """
    schedule = values_of(settings, number).get("schedule", settings.training.schedule)
    return f"trial-{number:03d}" if schedule == "constant" else f"trial-{number:03d}-{steps}"


def rounds(settings: Settings) -> list[tuple[int, int]]:
    """How many trials, and for how many steps each, in every round of a search on this machine."""
    tuning = settings.tuning
    if tuning.algorithm == "random":
        return [(tuning.trials, tuning.steps)]
    last = int(math.log(tuning.trials, ETA) + 1e-9)
    return [
        (math.ceil(tuning.trials / ETA**number), max(1, round(tuning.steps / ETA ** (last - number))))
        for number in range(last + 1)
    ]


def total(settings: Settings) -> int:
    """How many runs a search is, if none of them fails."""
    return sum(count for count, _ in rounds(settings))


def due(settings: Settings, ended: Iterable[Trial]) -> list[tuple[int, int]]:
    """The trials that can run now, as (number, steps): those of the first round that is not over; none at the end.

    A trial that failed is over, and does not go on.
    """
    known = {(trial.name, trial.steps): trial for trial in ended}
    going = list(range(1, settings.tuning.trials + 1))
    for count, steps in rounds(settings):
        found = {number: known.get((place_of(settings, number, steps), steps)) for number in going[:count]}
        missing = [(number, steps) for number, trial in found.items() if trial is None]
        if missing:
            return missing
        reached = {number: trial for number, trial in found.items() if trial and not trial.failure}
        going = sorted(reached, key=lambda number: rank(settings, reached[number]))
    return []


def rank(settings: Settings, trial: Trial) -> tuple[float, ...]:
    """The key that sorts trials, the best first: those with more steps, then by the figure; failed ones last."""
    figure = trial.loss if settings.tuning.metric == "validation_loss" else -trial.accuracy
    return (1.0, 0.0, 0.0) if trial.failure else (0.0, -float(trial.steps), figure)


def ended(settings: Settings) -> list[Trial]:
    """Every trial of the experiment that has ended, the best first; a record that cannot be read is none."""
    bucket, place = storage.of(settings), folder(settings)
    names = [name for name in bucket.sizes(place) if RESULT.fullmatch(name)]
    found = [read(settings, name, bucket.read(f"{place}/{name}")) for name in names]
    return sorted(filter(None, found), key=lambda trial: rank(settings, trial))


def read(settings: Settings, name: str, text: str | None) -> Trial | None:
    """The trial in a record: the trainer's of what it reached, or ours of why it failed."""
    trial = name.partition("/")[0]
    try:
        record = json.loads(text or "")
        if "failure" in record:
            return Trial(trial, int(record["steps"]), dict(record["values"]), failure=str(record["failure"]))
        used = record["settings"]
        values = {one.name: tidy(used[FLAGS.get(one.name, one.name)]) for one in settings.tuning.parameters}
        accuracy, loss = float(record["validation_accuracy"]), float(record["validation_loss"])
        return Trial(trial, int(record["steps"]), values, accuracy, loss, float(record["durations"]["total_s"]))
    except (ValueError, TypeError, KeyError):
        return None


def tidy(value: Value) -> Value:
    return rounded(value) if isinstance(value, float) else value


def record_failure(settings: Settings, trial: Trial) -> None:
    """Write down that a trial failed, so that the search goes on without it."""
    record = {"failure": trial.failure, "steps": trial.steps, "values": dict(trial.values)}
    name = f"{folder(settings)}/{trial.name}/failed-{trial.steps:08d}.json"
    storage.of(settings).write(name, json.dumps(record, indent=1) + "\n")


def winner(settings: Settings, found: list[Trial]) -> Trial | None:
    """The best of the trials that went to the end; None where none did."""
    whole = [trial for trial in found if not trial.failure and trial.steps == settings.tuning.steps]
    return min(whole, key=lambda trial: rank(settings, trial), default=None)


def figure(settings: Settings, trial: Trial) -> str:
    """What a trial reached by the metric that counts, in words."""
    if settings.tuning.metric == "validation_loss":
        return f"validation_loss {trial.loss:.4f}"
    return f"validation_accuracy {trial.accuracy:.4f}"


def told(values: Mapping[str, Value]) -> str:
    """Values in words: `learning_rate 0.0812, batch_size 64`."""
    return ", ".join(f"{name} {written(value)}" for name, value in values.items())


def rows(settings: Settings, found: list[Trial]) -> list[tuple[str, ...]]:
    """A heading and a line for each trial, the best first."""
    names = [one.name for one in settings.tuning.parameters]
    lines = [("trial", "steps", *names, "accuracy", "loss", "seconds", "")]
    for trial in found:
        values = [written(trial.values[name]) if name in trial.values else "?" for name in names]
        numbers = (f"{trial.accuracy:.4f}", f"{trial.loss:.4f}", f"{trial.seconds:.1f}")
        reached = ("-", "-", "-") if trial.failure else numbers
        lines.append(
            (
                trial.name,
                str(trial.steps),
                *values,
                *reached,
                trial.failure.splitlines()[0][:60] if trial.failure else "",
            )
        )
    return lines


def taken_up(settings: Settings, trial: Trial) -> Settings:
    """The settings with the winner's values for the training, and the experiment that they come from."""
    return trials.valued(settings, {**trial.values, "tuned_by": f"tune-{experiment(settings)}"})
