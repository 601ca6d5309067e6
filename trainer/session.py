"""The work of one run once TensorFlow is there: go on from a checkpoint, train, evaluate, publish."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainer import checkpoint, export, meeting, pictures, precision, strategy, validation
from trainer.card import Facts, describe
from trainer.checkpoint import Checkpoint
from trainer.clock import Clock
from trainer.cluster import Member
from trainer.data import Dataset
from trainer.errors import LostMember, UsageError
from trainer.evaluate import Metrics, evaluate
from trainer.litert import checked_copy
from trainer.log import say
from trainer.options import Options
from trainer.scalars import Scalars
from trainer.servable import from_network
from trainer.signals import Interrupted, Signals
from trainer.synchronous import shared
from trainer.train import Trainer
from trainer.version import Version

SHAPING = (
    *("model_type", "batch_size", "learning_rate", "optimizer"),
    *("schedule", "augment_pixels", "precision", "seed"),
)
"""The settings that must not change between a checkpoint and what goes on from it."""


class Session:
    """A trainer with its data and its folder of checkpoints, set to the newest of them."""

    def __init__(self, options: Options, dataset: Dataset, folder: str, clock: Clock, member: Member) -> None:
        """Get ready to train; in a cluster all members meet here. `folder` is the chief's alone."""
        gpus = strategy.devices()
        options = shared(options, strategy.replicas(member, gpus))
        self._options, self._dataset, self._folder, self._clock, self._member = options, dataset, folder, clock, member
        self._shaping = shaping(options, dataset)
        before = checkpoint.newest(folder) if member.leads else None
        if before:
            self._refuse_unfit(before)
        self._resumed_from = before.step if before else 0
        self._curves = Scalars(folder) if member.leads else None
        alone = member if self._resumed_from < options.train_steps else Member()  # the others may have gone home
        self._trainer = self._meet(alone, gpus)
        if before:
            self._trainer.restore(before.step, before.arrays)
        with strategy.losses_said():
            self._trainer.agree()
        count = self._trainer.network.count_params()
        say(f"Model: {options.model_type}, {count} parameters, trained in {self._trainer.precision}{_by(alone)}")
        if self._trainer.step:
            source = folder or "the chief's checkpoint"
            say(f"Resuming after step {self._trainer.step} of {options.train_steps} from {source}")

    def train(self, signals: Signals) -> None:
        """Do the steps that are left, with a checkpoint every so often; raises Interrupted after a signal."""
        with self._clock.timed("train_s"):
            while self._trainer.step < self._options.train_steps:
                self._train_until_checkpoint(signals)

    def _train_until_checkpoint(self, signals: Signals) -> None:
        every, total = self._options.checkpoint_every, self._options.train_steps
        goal = min((self._trainer.step // every + 1) * every, total)
        try:
            with signals.held(), strategy.losses_said():
                self._trainer.run(goal, signals.is_noted)
                self._save()
        except LostMember:
            if signals.noted:  # all were told to end, and another was quicker
                raise Interrupted(signals.noted) from None
            raise
        if signals.noted:
            raise Interrupted(signals.noted, self._how_to_go_on())
        if self._trainer.step < goal:
            raise LostMember(f"Another member was told to end; {self._how_to_go_on()}")
        if self._curves:
            self._curves.flush()
        if self._options.validation_share and self._member.leads and self._trainer.step < total:
            validation.tell(self._measured())  # so that a poor trial can be stopped early

    def validate(self) -> None:
        """Measure on the held-out images and write that down beside the checkpoints; nothing is exported."""
        with self._clock.timed("evaluate_s"):
            metrics = self._measured()
        validation.tell(metrics)
        durations = self._clock.durations | {"total_s": self._clock.total()}
        say(f"Recorded in {validation.record(self._folder, self._options, metrics, durations)}")

    def _meet(self, member: Member, gpus: list[str]) -> Trainer:
        """Make the trainer, after waiting for the others where there are any."""
        if member.layout == "synchronous":
            meeting.meet(member, self._shaping | {"train_steps": self._options.train_steps, "gpus": len(gpus)})
        elif member.layout == "servers":
            meeting.reach(member)
        used, write = precision.resolve(self._options.precision), self._curves.write if self._curves else _nowhere
        with strategy.losses_said():
            return strategy.make(self._options, self._dataset.train, used, write, member, gpus)

    def publish(self, tag: int) -> None:
        """Evaluate on the whole test set and export; without a tag of the user's, under the next free one."""
        servable = from_network(self._trainer.network)
        with self._clock.timed("evaluate_s"):
            metrics, answers = evaluate(servable.classify, self._dataset.test)
        self._tell(metrics)
        used, data = self._trainer.precision, describe(self._dataset)
        facts = Facts(self._options, data, used, self._resumed_from, metrics, self._member.counts())
        with self._clock.timed("litert_s"):
            copy = checked_copy(servable, self._dataset.test.images, answers)
        version = Version(servable.save, copy, self._dataset, facts, self._clock)
        publish = export.publish if self._options.version_tag else export.publish_next
        say(f"Exported to {publish(self._options.export_dir, tag, version.fill)}")
        self._draw(metrics, answers)

    def _measured(self) -> Metrics:
        servable = from_network(self._trainer.network)  # kept while it is asked: a tf.function holds no module
        metrics, _ = evaluate(servable.classify, self._dataset.test)
        return metrics

    def _save(self) -> None:
        if not self._member.leads:
            return
        state = Checkpoint(self._trainer.step, self._trainer.state(), self._shaping)
        checkpoint.save(self._folder, state, self._options.keep_checkpoints)

    def _how_to_go_on(self) -> str:
        if not self._member.leads:
            return f"the chief has saved a checkpoint after step {self._trainer.step} of {self._options.train_steps}."
        command = "the same command" if self._options.model_dir else f"--tf-model-dir {self._folder}"
        step, total = self._trainer.step, self._options.train_steps
        return f"saved a checkpoint after step {step} of {total} in {self._folder}; {command} goes on."

    def _tell(self, metrics: Metrics) -> None:
        what = " of STAND-IN DATA" if self._dataset.stand_in else ""
        say(
            f"Test accuracy on {metrics.test_examples} images{what}: {metrics.test_accuracy:.4f}, "
            f"test loss: {metrics.test_loss:.4f}"
        )
        self._curves.point("test_accuracy", self._trainer.step, metrics.test_accuracy)
        self._curves.flush()

    def _draw(self, metrics: Metrics, answers: np.ndarray) -> None:
        """Show TensorBoard what the model gets wrong; nobody who waits for the version waits for this."""
        step, test = self._trainer.step, self._dataset.test
        self._curves.picture("confusion_matrix", step, pictures.confusion(metrics.confusion_matrix))
        self._curves.picture("mistakes", step, pictures.mistakes(test, answers))
        self._curves.flush()

    def _refuse_unfit(self, before: Checkpoint) -> None:
        checkpoint.refuse_other_settings(before, self._shaping, self._folder)
        if before.step > self._options.train_steps:
            raise UsageError(
                f"The checkpoint in {self._folder} is at step {before.step}, past the "
                f"{self._options.train_steps} asked for; ask for more steps or give a new version tag."
            )


def _by(member: Member) -> str:
    """Say who trains together, where it is more than one process."""
    others = [f"{count} x {role}" for role, count in member.counts().items()]
    return f" by {', '.join(others)}" if member.layout != "lone" else ""


def _nowhere(name: str, first: int, values: np.ndarray) -> None:
    """Only the chief draws curves."""


def shaping(options: Options, dataset: Dataset) -> dict[str, Any]:
    """Give the settings that a checkpoint is bound to; with a constant rate more steps may follow later."""
    chosen = {name: getattr(options, name) for name in SHAPING}
    if options.schedule != "constant":
        chosen["train_steps"] = options.train_steps
    return chosen | {"dataset": dataset.name, "data_sha256": dataset.sha256}
