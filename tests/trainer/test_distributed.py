"""Real processes on loopback, as the training operator would start them: they learn as one and outlive kills."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import Checkout
from pipeline import manifests
from pipeline.clusters import jobs
from pipeline.clusters.objects import Objects
from pipeline.config import load
from pipeline.processes import marked

pytestmark = pytest.mark.slow

TAG = "1763900000"
DIGITS = ("data.dataset=digits", "training.checkpoint_every=50", "training.batch_size=32")


@dataclass
class Run:
    """One job of the environment `local`, as `invoke train` would run it, in a folder of its own."""

    folder: Path
    lines: list[str] = field(default_factory=list)

    @property
    def build(self) -> Path:
        return self.folder / "build"

    def train(self, *sets: str) -> dict:
        """Run the job to its end, look that nothing is left running, and give the model card."""
        settings = load("local", (f"storage.bucket={self.folder / 'bucket'}", *sets)).settings
        (job,) = manifests.render(settings, "train", TAG)
        jobs.run(job, self.build, Objects(self.build / "objects"), self.lines.append)
        assert marked(self.build) == []
        return json.loads((self.folder / "bucket" / "export" / TAG / "model_card.json").read_text())

    def saved(self) -> int:
        """The newest checkpoint's step."""
        return max((int(name.split("-")[1]) for name in self.checkpoints()), default=0)

    def checkpoints(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("bucket/*/checkpoint-*.npz"))

    def signal(self, name: str, after: int, number: signal.Signals = signal.SIGKILL) -> threading.Thread:
        """Send a member a signal once a checkpoint of at least this step is there."""

        def send() -> None:
            while self.saved() < after:
                time.sleep(0.02)
            role, index = name.split("-")
            for process in marked(self.build):
                task = json.loads(process.environ().get("TF_CONFIG", "{}")).get("task")
                if task == {"type": role, "index": int(index)}:
                    os.kill(process.pid, number)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        return thread

    def log(self, name: str) -> str:
        return (self.build / "logs" / f"train-{TAG}-{name}.log").read_text()

    def restarts(self) -> list[str]:
        """Which members were started again, with what they ended with, in order."""
        return [f"{m[1]} {m[2]}" for m in re.finditer(r"train-\d+-(\S+) ended with (\d+)", "\n".join(self.lines))]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path)
    yield made
    assert marked(made.build) == []


def test_a_killed_worker_and_then_a_killed_chief_cost_no_bit_of_the_weights(run: Run, tmp_path: Path) -> None:
    sets = (*DIGITS, "training.steps=500", "training.workers=1")
    undisturbed = Run(tmp_path / "undisturbed")
    undisturbed.train(*sets)
    run.signal("worker-0", after=50)
    run.signal("chief-0", after=300)
    card = run.train(*sets)
    assert run.checkpoints() == undisturbed.checkpoints()  # a name tells step and content
    assert sorted(run.restarts()) == ["chief-0 137", "chief-0 138", "worker-0 137", "worker-0 138"]
    assert card["resumed_from"] >= 300
    assert "Another member of the training is gone" in run.log("worker-0")
    assert "Traceback" not in run.log("worker-0") + run.log("chief-0")


def test_a_worker_that_is_told_to_end_has_the_chief_save_first(run: Run) -> None:
    run.signal("worker-0", 100, signal.SIGTERM)
    card = run.train(*DIGITS, "training.steps=400", "training.workers=1", "training.checkpoint_every=100")
    assert sorted(run.restarts()) == ["chief-0 138", "worker-0 143"]
    (saved,) = re.findall(r"Another member was told to end; saved a checkpoint after step (\d+)", run.log("chief-0"))
    assert card["resumed_from"] == int(saved) >= 100


def test_a_killed_parameter_server_costs_what_came_after_the_last_checkpoint(run: Run) -> None:
    run.signal("ps-0", after=100)
    card = run.train(*DIGITS, "training.steps=400", "training.workers=1", "training.parameter_servers=1")
    assert sorted(run.restarts()) == ["chief-0 138", "ps-0 137"]
    assert card["resumed_from"] >= 100
    assert card["metrics"]["test_accuracy"] > 0.9
    assert "Traceback" not in run.log("chief-0")


def test_what_one_process_began_is_finished_by_two_with_an_evaluator_beside_them(checkout: Checkout) -> None:
    sets = [word for one in (*DIGITS, "training.steps=800") for word in ("--set", one)]
    alone = checkout.start("train", *sets)
    while not list(checkout.build.glob("bucket/*/checkpoint-*.npz")):
        assert alone.poll() is None, alone.communicate()[0]
        time.sleep(0.01)
    alone.send_signal(signal.SIGINT)
    alone.communicate(timeout=60)
    said = checkout.invoke("train", *sets, "--set", "training.workers=1", "--set", "training.evaluator=true")
    assert "go on with version" in said
    assert "trained in float32 by 1 x chief, 1 x worker" in said or "bfloat16 by 1 x chief, 1 x worker" in said
    (version,) = json.loads(checkout.invoke("models", "--json"))
    assert version["settings"]["members"] == {"chief": 1, "worker": 1}
    assert version["resumed_from"] >= 50
    (log,) = (checkout.build / "logs").glob("*-evaluator-0.log")
    assert re.search(r"Evaluated step \d+: test accuracy 0\.\d{4}", log.read_text())
    assert list((checkout.build / "bucket" / version["tag"] / "eval" / "tensorboard").glob("events.*"))


MNIST = ("data.dataset=mnist", "training.batch_size=128", "training.steps=600", "training.checkpoint_every=200",
         "training.optimizer=adam", "training.learning_rate=0.002")  # fmt: skip


@pytest.fixture(scope="module")
def of_one_process(mnist_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """The test accuracy that one process reaches with that batch and those steps."""
    return float(Run(tmp_path_factory.mktemp("alone")).train(*MNIST)["metrics"]["test_accuracy"])


LESS = pytest.mark.repeats("the row of two workers and a parameter server")


@pytest.mark.mnist
@pytest.mark.parametrize(
    ("sets", "members"),
    [
        pytest.param(("training.workers=1",), {"chief": 1, "worker": 1}, marks=LESS),
        pytest.param(("training.workers=2",), {"chief": 1, "worker": 2}, marks=LESS),
        (
            ("training.workers=2", "training.parameter_servers=1", "training.evaluator=true"),
            {"chief": 1, "worker": 2, "ps": 1},
        ),
    ],
    ids=["1+1", "1+2", "1 chief, 2 workers, 1 ps, 1 evaluator"],
)
def test_several_processes_come_within_0_3_points_of_one(
    sets: tuple[str, ...], members: dict[str, int], of_one_process: float, run: Run
) -> None:
    card = run.train(*MNIST, *sets)
    assert card["settings"]["members"] == members
    assert card["metrics"]["test_accuracy"] == pytest.approx(of_one_process, abs=0.003)
    assert of_one_process > 0.97
