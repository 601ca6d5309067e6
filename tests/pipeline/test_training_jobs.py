"""The rendered training job run here by its policy, with the real trainer: what is retried, and what is not."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from pipeline import manifests
from pipeline.clusters import jobs
from pipeline.clusters.objects import Objects
from pipeline.config import load
from pipeline.errors import RunFailed
from pipeline.processes import marked

pytestmark = pytest.mark.slow

SMALL = ("training.model=linear", "training.batch_size=32", "training.schedule=constant", "data.dataset=digits")


class Job:
    """A training in a folder of its own; `lines` is what it has shown so far."""

    def __init__(self, folder: Path, *changes: str) -> None:
        sets = [f"storage.bucket={folder / 'bucket'}", *SMALL, *changes]
        (self.job,) = manifests.render(load("local", sets).settings, "train", "100")
        self.build, self.bucket, self.lines = folder / "build", folder / "bucket", list[str]()
        self.args = self.job["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]["containers"][0]["args"]
        self.ends = list[signal.Signals]()

    def run(self, *ends: signal.Signals) -> None:
        """Run it, and end the trainer with each of the signals, once for every start of it."""
        self.ends = list(ends)
        jobs.run(self.job, self.build, Objects(self.build / "objects"), self.show)
        assert marked(self.build) == []

    def show(self, line: str) -> None:
        self.lines.append(line)
        if "Model: " in line:
            self.trained = False
        elif "step = " in line and not self.trained and self.ends:
            self.trained = True
            (trainer,) = marked(self.build)
            trainer.send_signal(self.ends.pop(0))

    @property
    def said(self) -> str:
        return "\n".join(self.lines)


def test_fault_49_a_trainer_that_is_preempted_and_then_killed_is_started_again_and_goes_on(tmp_path: Path) -> None:
    job = Job(tmp_path, "training.steps=12000", "training.checkpoint_every=200", "training.backoff_limit=2")
    job.run(signal.SIGTERM, signal.SIGKILL)
    saved = re.search(r"SIGTERM: saved a checkpoint after step (\d+) of 12000", job.said)
    assert saved, job.said
    assert "train-100-chief-0 ended with 143; restart 1 of 2" in job.said
    assert f"Resuming after step {saved[1]} of 12000" in job.said
    assert "train-100-chief-0 ended with 137; restart 2 of 2" in job.said
    resumed = [int(step) for step in re.findall(r"Resuming after step (\d+) of", job.said)]
    assert len(resumed) == 2
    assert 0 < resumed[0] <= resumed[1]
    assert [path.name for path in (job.bucket / "export").iterdir()] == ["100"]


def test_a_training_that_blew_up_is_not_started_again(tmp_path: Path) -> None:
    job = Job(tmp_path, "training.steps=200", "training.optimizer=sgd")
    job.args.append("--tf-learning-rate=1e38")
    with pytest.raises(RunFailed, match=r"train-100-chief-0 ended with 1\n") as caught:
        job.run()
    assert "the training has blown up, nothing is exported" in str(caught.value.message)
    assert "restart" not in job.said
    assert list((job.bucket / "export").iterdir()) == []
