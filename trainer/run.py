"""One run from start to end: data, checkpoint, training, evaluation, export."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainer import checkpoint, data, export, files, precision
from trainer.errors import TrainerError, UsageError
from trainer.log import say
from trainer.options import Options
from trainer.quiet import load_tensorflow, use_one_thread
from trainer.signals import Interrupted, Signals

if TYPE_CHECKING:
    from trainer.train import Trainer

SHAPING = (
    "model_type",
    "batch_size",
    "learning_rate",
    "optimizer",
    "schedule",
    "augment_pixels",
    "precision",
    "seed",
)
"""The settings that must not change between a checkpoint and what goes on from it."""


@dataclass
class Run:
    """What a run was asked and what it learns on its way; durations are seconds."""

    options: Options
    signals: Signals
    started: float = field(default_factory=time.monotonic)
    durations: dict[str, float] = field(default_factory=dict)
    folder: str = ""
    resumed_from: int = 0

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Record how long a part took."""
        before = time.monotonic()
        yield
        self.durations[name] = time.monotonic() - before


def execute(options: Options, environ: Mapping[str, str], signals: Signals) -> None:
    """Train, evaluate and export as the options say; nothing at all if that very version is there."""
    run = Run(options, signals)
    if options.model_type != "cnn":
        use_one_thread()
    tag = _choose_tag(options)
    if tag is None:
        return
    with run.timed("import_s"):
        load_tensorflow()
    with run.timed("data_s"):
        dataset = data.load(options, environ.get("MNIST_DIR"))
    with _model_dir(options) as run.folder:
        trainer = _train(run, dataset)
        _evaluate_and_export(run, dataset, trainer, tag)
    say(f"Done in {time.monotonic() - run.started:.1f} s")


def _choose_tag(options: Options) -> int | None:
    """Give the tag of this run, or None where that version is published and nothing is left to do."""
    now, base = int(time.time()), options.export_dir
    files.make_folder(base)
    if options.version_tag is None:
        return export.next_tag(base, now)
    try:
        export.refuse_far_future(options.version_tag, now, f"--tf-version-tag is {options.version_tag}")
    except TrainerError as error:
        raise UsageError(str(error)) from None
    if not export.is_published(base, options.version_tag):
        return options.version_tag
    say(f"Version {options.version_tag} is published in {base} already, and whole; nothing to do.")
    return None


@contextmanager
def _model_dir(options: Options) -> Iterator[str]:
    """Give the folder of the checkpoints; one that nobody asked for goes away, but not after a signal."""
    if options.model_dir:
        files.make_folder(options.model_dir)
        yield options.model_dir
        return
    folder = tempfile.mkdtemp(prefix="trainer-")
    try:
        yield folder
    except TrainerError:
        files.remove(folder)
        raise
    files.remove(folder)


def _train(run: Run, dataset: data.Dataset) -> Trainer:
    from trainer.scalars import Scalars
    from trainer.train import Trainer

    options, used = run.options, precision.resolve(run.options.precision)
    shaping = _shaping(options, dataset)
    before = checkpoint.newest(run.folder)
    if before:
        _refuse_unfit(before, shaping, run)
    curves = Scalars(run.folder)
    trainer = Trainer(options, dataset.train, used, curves.write)
    say(f"Model: {options.model_type}, {trainer.network.count_params()} parameters, trained in {used}")
    if before:
        run.resumed_from = before.step
        trainer.restore(before.step, before.arrays)
        say(f"Resuming after step {before.step} of {options.train_steps} from {run.folder}")
    with run.timed("train_s"):
        while trainer.step < options.train_steps:
            _train_to_next_checkpoint(run, trainer, shaping)
            curves.flush()
    return trainer


def _train_to_next_checkpoint(run: Run, trainer: Trainer, shaping: dict[str, Any]) -> None:
    """Train and save; a signal is answered when its checkpoint is on the disk."""
    options, every = run.options, run.options.checkpoint_every
    with run.signals.held():
        trainer.run(min((trainer.step // every + 1) * every, options.train_steps), run.signals.is_noted)
        state = checkpoint.Checkpoint(trainer.step, trainer.state(), shaping)
        checkpoint.save(run.folder, state, options.keep_checkpoints)
    if run.signals.noted:
        how = (
            "the same command" if options.model_dir else f"the same command with --tf-model-dir {run.folder}"
        )
        raise Interrupted(
            run.signals.noted,
            f"saved a checkpoint after step {trainer.step} of {options.train_steps} in {run.folder}; "
            f"{how} goes on.",
        )


def _shaping(options: Options, dataset: data.Dataset) -> dict[str, Any]:
    """Give the settings that a checkpoint is bound to; with a constant rate more steps may follow later."""
    chosen = {name: getattr(options, name) for name in SHAPING}
    if options.schedule != "constant":
        chosen["train_steps"] = options.train_steps
    return chosen | {"dataset": dataset.name, "data_sha256": dataset.sha256}


def _refuse_unfit(before: checkpoint.Checkpoint, shaping: dict[str, Any], run: Run) -> None:
    checkpoint.refuse_other_settings(before, shaping, run.folder)
    if before.step > run.options.train_steps:
        raise UsageError(
            f"The checkpoint in {run.folder} is at step {before.step}, past the {run.options.train_steps} "
            "asked for; ask for more steps or give a new version tag."
        )


def _evaluate_and_export(run: Run, dataset: data.Dataset, trainer: Trainer, tag: int) -> None:
    from trainer.card import Facts, describe
    from trainer.evaluate import evaluate
    from trainer.servable import from_network
    from trainer.version import Version

    servable = from_network(trainer.network)
    with run.timed("evaluate_s"):
        metrics = evaluate(servable.classify, dataset.test)
    say(
        f"Test accuracy on {metrics.test_examples} images{' of STAND-IN DATA' if dataset.stand_in else ''}: "
        f"{metrics.test_accuracy:.4f}, test loss: {metrics.test_loss:.4f}"
    )
    facts = Facts(run.options, describe(dataset), trainer.precision, run.resumed_from, metrics, run.durations)
    version = Version(servable.save, dataset, facts, run.started)
    publish = export.publish if run.options.version_tag else export.publish_next
    say(f"Exported to {publish(run.options.export_dir, tag, version.fill)}")
