"""A trial of settings: trained on a part of the training images, measured on the rest, never on the test set."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace

import numpy as np

from trainer import files
from trainer.data import Dataset, Split
from trainer.errors import UsageError
from trainer.evaluate import Metrics
from trainer.log import say
from trainer.options import Options

ORDER = 0
"""Seed of the order that decides which images are held out: the same ones for every trial, whatever its own seed."""


def held_out(dataset: Dataset, share: float) -> Dataset:
    """Put `share` of the training images in the place of the test images; the whole data set as it is for 0.

    Raises UsageError where that leaves no image to measure on or none to train on.
    """
    if not share:
        return dataset
    total = len(dataset.train.labels)
    count = round(share * total)
    if not 0 < count < total:
        raise UsageError(
            f"--tf-validation-share: {share:g} of {total} training images are {count}, not 1 to {total - 1}."
        )
    order = np.random.default_rng(ORDER).permutation(total)
    measured, trained = (_part(dataset.train, chosen) for chosen in np.split(order, [count]))
    return replace(dataset, train=trained, test=measured)


def tell(metrics: Metrics) -> None:
    """Print the figures as Katib's StdOut collector reads them: a time, for their order, and `name=value`."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    say(f"{now} validation_accuracy={metrics.test_accuracy:.6f}")
    say(f"{now} validation_loss={metrics.test_loss:.6f}")


def record(folder: str, options: Options, metrics: Metrics, durations: dict[str, float]) -> str:
    """Write `validation-<steps>.json` beside the checkpoints; gives its path. Accuracy is 0 to 1, loss in nats."""
    path = files.join(folder, f"validation-{options.train_steps:08d}.json")
    content = {
        "validation_accuracy": metrics.test_accuracy,
        "validation_loss": metrics.test_loss,
        "validation_examples": metrics.test_examples,
        "steps": options.train_steps,
        "settings": asdict(options),
        "durations": {name: round(seconds, 3) for name, seconds in durations.items()},
    }
    files.write(path, (json.dumps(content, indent=1) + "\n").encode())
    return path


def _part(split: Split, chosen: np.ndarray) -> Split:
    return Split(split.images[chosen], split.labels[chosen])
