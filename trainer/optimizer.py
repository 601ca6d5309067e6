"""The optimizers and the course of the learning rate over a run."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.options import Options

WARM_UP = 0.1
"""Share of the steps in which one-cycle climbs to the peak."""


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Up from 0 to the peak in a tenth of the steps, then in a straight line down to 0 at the end.

    After L. N. Smith and N. Topin, Super-Convergence, 2018 (arXiv 1708.07120), with constant momentum.
    """

    def __init__(self, peak: float, steps: int) -> None:
        super().__init__()
        self.peak, self.steps = peak, steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        done = (tf.cast(step, tf.float32) + 1.0) / (self.steps + 1.0)
        return self.peak * tf.minimum(done / WARM_UP, (1.0 - done) / (1.0 - WARM_UP))

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "steps": self.steps}


def make_optimizer(options: Options) -> keras.optimizers.Optimizer:
    """Make the optimizer that the options name; its `iterations` is the step that the schedule goes by."""
    rate = learning_rate(options)
    if options.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    nesterov = options.optimizer == "nesterov"
    return keras.optimizers.SGD(rate, momentum=0.9 if nesterov else 0.0, nesterov=nesterov)


def learning_rate(options: Options) -> float | OneCycle:
    """Give the rate of every step, or what tells it from the step."""
    if options.schedule == "one-cycle":
        return OneCycle(options.learning_rate, options.train_steps)
    return options.learning_rate


def rates(options: Options, first: int, count: int) -> np.ndarray:
    """Give the learning rates [count] float32 of the steps that follow `first`."""
    rate = learning_rate(options)
    if isinstance(rate, OneCycle):
        return rate(tf.range(first, first + count)).numpy()
    return np.full(count, rate, np.float32)
