"""One run from start to end: data, checkpoint, training, evaluation, export."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trainer import checkpoint, data, export, files, precision
from trainer.errors import Mistake, TrainerError
from trainer.log import say
from trainer.options import Options
from trainer.quiet import load_tensorflow
from trainer.signals import Interrupted, Signals

if TYPE_CHECKING:
    from trainer.train import Trainer

SHAPING = ("model_type", "batch_size", "learning_rate", "optimizer", "schedule", "augment_pixels", "precision", "seed")
"""The settings that must not change between a checkpoint and what goes on from it."""


@dataclass
class Run:
    """What a run learns on its way."""

    options: Options
    signals: Signals
    started: float = field(default_factory=time.monotonic)
    durations: dict[str, float] = field(default_factory=dict)
    folder: str = ""
    resumed_from: int = 0

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Record how long a part took, in seconds."""
        before = time.monotonic()
        yield
        self.durations[name] = time.monotonic() - before


def execute(options: Options, environ: Mapping[str, str], signals: Signals) -> None:
    """Train, evaluate and export as the options say; nothing at all if that very version is there."""
    run = Run(options, signals)
    now = int(time.time())
    if options.version_tag and _is_published(options, options.version_tag, now):
        return
    tag = options.version_tag or export.next_tag(options.export_dir, now)
    with run.timed("import_s"):
        load_tensorflow()
    with run.timed("data_s"):
        dataset = data.load(options, environ.get("MNIST_DIR"))
    with _model_dir(options) as run.folder:
        trainer = _train(run, dataset)
        _evaluate_and_export(run, dataset, trainer, tag)
    say(f"Done in {time.monotonic() - run.started:.1f} s")


def _is_published(options: Options, tag: int, now: int) -> bool:
    """Tell whether the asked version is there; raises where something else stands under its name."""
    try:
        export.refuse_far_future(tag, now, f"--tf-version-tag is {tag}")
    except TrainerError as error:
        raise Mistake(str(error)) from None
    target = files.join(options.export_dir, str(tag))
    names = files.names_in(target)
    if export.is_whole(target):
        say(f"Version {tag} is published in {target} already and whole; nothing to do.")
        return True
    if names and (export.GRAPH in names or not files.is_remote(target)):
        raise TrainerError(
            f"{target} exists but does not match its checksums; it is never overwritten: "
            "remove it, or give a new version tag."
        )
    return False


@contextmanager
def _model_dir(options: Options) -> Iterator[str]:
    """Give the folder of the checkpoints; one that nobody asked for goes when the run ends well."""
    if options.model_dir:
        yield options.model_dir
        return
    folder = tempfile.mkdtemp(prefix="trainer-")
    yield folder
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
        how = "the same command" if options.model_dir else f"the same command with --tf-model-dir {run.folder}"
        raise Interrupted(
            run.signals.noted,
            f"saved a checkpoint after step {trainer.step} of {options.train_steps} in {run.folder}; {how} goes on.",
        )


def _shaping(options: Options, dataset: data.Dataset) -> dict[str, Any]:
    """Give the settings that a checkpoint is bound to; with a constant rate more steps may follow later."""
    chosen = {name: getattr(options, name) for name in SHAPING}
    if options.schedule != "constant":
        chosen["train_steps"] = options.train_steps
    return chosen | {"dataset": dataset.name, "data_sha256": dataset.sha256()}


def _refuse_unfit(before: checkpoint.Checkpoint, shaping: dict[str, Any], run: Run) -> None:
    checkpoint.refuse_other_settings(before, shaping, run.folder)
    if before.step > run.options.train_steps:
        raise Mistake(
            f"The checkpoint in {run.folder} is at step {before.step}, past the {run.options.train_steps} asked for; "
            "ask for more steps or give a new version tag."
        )


def _evaluate_and_export(run: Run, dataset: data.Dataset, trainer: Trainer, tag: int) -> None:
    from trainer import card
    from trainer.evaluate import evaluate
    from trainer.servable import from_network

    servable = from_network(trainer.network)
    with run.timed("evaluate_s"):
        metrics = evaluate(servable.classify, dataset.test)
    stand_in = " (STAND-IN data, not MNIST)" if dataset.stand_in else ""
    say(f"Test accuracy on {metrics.test_examples} images: {metrics.test_accuracy:.4f}{stand_in}, "
        f"test loss: {metrics.test_loss:.4f}")
    began, base = time.monotonic(), run.options.export_dir
    facts = card.Facts(tag, run.options, card.describe(dataset, dataset.sha256()), trainer.precision,
                       run.resumed_from, None, metrics, run.durations)
    while True:
        def make() -> dict[str, Any]:
            now = time.monotonic()
            took = run.durations | {"export_s": now - began, "total_s": now - run.started}
            parent = max((one for one in export.versions(base) if one != tag), default=None)
            return card.make_card(replace(facts, tag=tag, parent=parent, durations=took))
        try:
            target = export.publish(base, tag, servable.save, dataset, make)
            break
        except FileExistsError:
            if run.options.version_tag:
                raise TrainerError(f"{base} has got a version {tag} meanwhile; it is never overwritten: give a new tag.") from None
            tag = export.next_tag(base, int(time.time()))
    say(f"Exported version {tag} to {target}")
