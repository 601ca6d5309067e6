"""How good a model is on the whole test set: accuracy, loss, each class, and what is taken for what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.data import Split
from trainer.errors import TrainerError

BATCH = 1000


@dataclass(frozen=True)
class Metrics:
    """Shares are 0 to 1; `test_loss` is mean cross-entropy in nats; `confusion_matrix[truth][predicted]`."""

    test_accuracy: float
    test_loss: float
    test_examples: int
    per_class_accuracy: list[float]
    confusion_matrix: list[list[int]]


def evaluate(classify: tf.types.experimental.PolymorphicFunction, test: Split) -> tuple[Metrics, np.ndarray]:
    """Ask `classify` (the function that is exported) about every test image; gives its probabilities [N, 10] too."""
    parts = [
        _probabilities(classify, test.images[start : start + BATCH]) for start in range(0, len(test.labels), BATCH)
    ]
    probabilities = np.concatenate(parts)
    return measure(probabilities, test.labels), probabilities


def measure(probabilities: np.ndarray, labels: np.ndarray) -> Metrics:
    """Compare probabilities [N, 10] with labels [N]; a class that does not occur counts as 0.

    Raises TrainerError where a probability is no number: the last step of a training can do that unseen.
    """
    if not np.isfinite(probabilities).all():
        raise TrainerError(
            "The trained model gives no numbers: the training has blown up, nothing is exported; a new version "
            "tag and a smaller --tf-learning-rate would be right."
        )
    truth = labels.astype(np.int64)
    confusion = np.zeros((10, 10), np.int64)
    np.add.at(confusion, (truth, probabilities.argmax(1)), 1)
    given = np.maximum(probabilities[np.arange(len(truth)), truth], np.finfo(np.float32).tiny)
    per_class = confusion.diagonal() / np.maximum(confusion.sum(1), 1)
    return Metrics(
        test_accuracy=float(confusion.trace() / len(truth)),
        test_loss=float(-np.log(given.astype(np.float64)).mean()),
        test_examples=len(truth),
        per_class_accuracy=per_class.tolist(),
        confusion_matrix=confusion.tolist(),
    )


def _probabilities(classify: tf.types.experimental.PolymorphicFunction, images: np.ndarray) -> np.ndarray:
    return classify(tf.constant(images.astype(np.float32) / 255.0))["predictions"].numpy()
