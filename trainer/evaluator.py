"""The evaluator: each new checkpoint of a training on the whole test set, as a curve for TensorBoard."""

from __future__ import annotations

import time

from trainer import checkpoint, files, model
from trainer.checkpoint import Checkpoint
from trainer.data import Split
from trainer.errors import TrainerError
from trainer.evaluate import Metrics, evaluate
from trainer.log import say
from trainer.options import Options
from trainer.scalars import Scalars
from trainer.servable import from_network

LOOK = 2.0
"""Seconds between two looks into the folder; each is one request where it is a bucket."""


def follow(options: Options, test: Split, folder: str) -> None:
    """Evaluate checkpoints in `folder` as they appear, until the one after the last step.

    A checkpoint that cannot be read is said and passed over: a failed evaluator would fail the whole training.
    """
    curves, done = Scalars(files.join(folder, "eval")), 0
    while done < options.train_steps:
        found = _newer(folder, done)
        if found is None:
            time.sleep(LOOK)
            continue
        done, metrics = found.step, measure(options.model_type, found, test)
        say(f"Evaluated step {done}: test accuracy {metrics.test_accuracy:.4f}, test loss {metrics.test_loss:.4f}")
        curves.point("test_accuracy", done, metrics.test_accuracy)
        curves.point("test_loss", done, metrics.test_loss)
        curves.flush()


def measure(model_type: str, found: Checkpoint, test: Split) -> Metrics:
    """Evaluate the weights of a checkpoint, in float32 as they would be served."""
    network = model.build(model_type)
    for variable, value in zip(network.variables, found.arrays, strict=False):  # the optimizer's slots follow
        variable.assign(value)
    servable = from_network(network)
    metrics, _ = evaluate(servable.classify, test)
    return metrics


def _newer(folder: str, done: int) -> Checkpoint | None:
    try:
        found = checkpoint.newest(folder, tidy=False)
    except TrainerError as error:
        say(str(error))
        return None
    return found if found and found.step > done else None
