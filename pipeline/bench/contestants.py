"""Who takes part in `invoke bench train`: our trainer as the environment has it, and published recipes beside it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import manifests
from pipeline.clusters.objects import store
from pipeline.clusters.pods import Process, process
from pipeline.errors import RunFailed
from pipeline.settings import ROOT, Settings

FOLDER = ROOT / "bench"

CONSTRAINTS = ROOT / "constraints.txt"
"""Peers have the versions that we have."""

TAG = "100"
"""The version that a run makes, in a bucket of its own."""

ACCURATE: dict[str, Any] = {"model": "accurate", "steps": 9375, "augment_pixels": 2}
"""What `accurate` changes of the environment's training; its reasons are in docs/benchmarks.md."""


@dataclass(frozen=True)
class Answer:
    """What a run says of itself: accuracy (0 to 1) on how many test images, how long it trained, in what versions.

    `off_wall_s` and `off_cpu_s` are seconds to take off: looks at the test set that its recipe does not take.
    """

    accuracy: float
    examples: int
    trained: int
    unit: str
    versions: dict[str, str]
    off_wall_s: float = 0.0
    off_cpu_s: float = 0.0


@dataclass(frozen=True)
class Contestant:
    """One row of the table. `prepare` takes (folder, seed, python), `answer` (folder, what it printed)."""

    name: str
    prepare: Callable[[Path, int, str], Process]
    answer: Callable[[Path, str], Answer]
    environment: str = ""
    requirements: tuple[str, ...] = ()
    constraints: Path = CONSTRAINTS


@dataclass(frozen=True)
class Peer:
    """A recipe of somebody else's in `bench/`: where it stops, and what it needs in an environment of its own."""

    name: str
    script: str
    cap: int
    target: float = 0.99
    requirements: tuple[str, ...] = ("tensorflow",)
    environment: str = "tensorflow"


PEERS = (
    Peer("the tutorial's `model.py` (port)", "tutorial.py", 200, 1.0),
    Peer("the same, until 99.0 %", "tutorial.py", 6_000),
    Peer("keras.io's MNIST convnet", "keras_io.py", 15),
    Peer("PyTorch's MNIST example", "pytorch.py", 14, requirements=("torch==2.13.0", "numpy"), environment="torch"),
)
"""Caps: the tutorial's own 200 steps, then 10 passes over the training images; the others' published epochs."""


def ours(settings: Settings, name: str, changes: Mapping[str, Any]) -> Contestant:
    """Our trainer: the very processes that `invoke train` starts, on MNIST, with `changes` to its training settings."""

    def prepare(folder: Path, seed: int, python: str) -> Process:
        made = moved(settings, folder, {**changes, "seed": seed}, "mnist")
        return whole(made, folder) if made.training.workers else chief(made, folder)

    return Contestant(name, prepare, read_card)


def moved(settings: Settings, folder: Path, changes: Mapping[str, Any], dataset: str) -> Settings:
    """The environment's settings with a folder of one's own for a bucket, and with `changes` to the training."""
    training = settings.training.model_copy(update=changes)
    storage = settings.storage.model_copy(update={"kind": "folder", "bucket": str(folder)})
    data = settings.data.model_copy(update={"dataset": dataset, "directory": str(folder / "data")})
    return settings.model_copy(update={"training": training, "storage": storage, "data": data})


def chief(settings: Settings, folder: Path) -> Process:
    """The chief's process, from the manifest that the environment's TFJob is rendered from."""
    pod = manifests.render(settings, "train", TAG)[0]["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]
    return process(pod, "bench", folder / "volumes", store(settings))


def whole(settings: Settings, folder: Path) -> Process:
    """All replicas of the job below one process, which ends with them."""
    manifest = folder / "job.json"
    manifest.write_text(json.dumps(manifests.render(settings, "train", TAG)[0]))
    return Process((sys.executable, "-m", "pipeline.bench.job", str(manifest), str(folder)), {}, str(ROOT), "")


def read_card(folder: Path, printed: str) -> Answer:
    """What our trainer wrote into the model card of the version that it has exported."""
    card = json.loads((folder / "export" / TAG / "model_card.json").read_text())
    metrics = card["metrics"]
    return Answer(metrics["test_accuracy"], metrics["test_examples"], card["steps"], "steps", card["versions"])


def peer(one: Peer, mnist: Path, changes: Mapping[str, int]) -> Contestant:
    """A recipe in `bench/`; `changes` to its flags make it smaller."""

    def prepare(folder: Path, seed: int, python: str) -> Process:
        flags = {"mnist": mnist, "scratch": folder, "seed": seed, "target": one.target, "cap": one.cap, **changes}
        argv = (python, str(FOLDER / one.script), *(f"--{name}={value}" for name, value in flags.items()))
        return Process(argv, {}, str(FOLDER), "")

    return Contestant(one.name, prepare, read_line, one.environment, one.requirements)


def read_line(folder: Path, printed: str) -> Answer:
    """What a peer printed last; raises RunFailed where that is no line of ours."""
    try:
        said = json.loads(printed.strip().splitlines()[-1])
        (trained, unit), looks = said["trained"], said["looks"]
        accuracy, examples, versions = said["accuracy"], said["examples"], said["versions"]
        return Answer(accuracy, examples, trained, unit, versions, looks["wall_s"], looks["cpu_s"])
    except (IndexError, ValueError, KeyError, TypeError):
        raise RunFailed("it ended without its line of figures") from None
