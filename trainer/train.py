"""The training loop: many steps in one call into TensorFlow, from a step that a checkpoint may have set.

What is random in step s follows from (seed, s) or from state in the checkpoint, the order of images in an
epoch from (seed, epoch). So a run that is cut off and goes on ends with the very weights of one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import keras
import numpy as np
import tensorflow as tf

from trainer import model
from trainer.data import Split
from trainer.errors import TrainerError, UsageError
from trainer.log import progress
from trainer.optimizer import make_optimizer, rates
from trainer.options import Options
from trainer.pace import Pace

CALL_SECONDS = 0.25
"""Aim for one call: long enough to be cheap, short enough that a signal is answered at once."""
LOG_SECONDS = 1.0


@dataclass
class Trainer:
    """A model in training. `step` is how many steps are done; `write` takes (name, first step, values)."""

    options: Options
    train: Split
    precision: str
    write: Callable[[str, int, np.ndarray], None] = lambda name, first, values: None
    step: int = 0
    network: keras.Model = field(init=False)

    def __post_init__(self) -> None:
        tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(self.options.seed)
        self._length, self._pace = 1, Pace()
        self._build()

    def _build(self) -> None:
        """Make the network, the optimizer's slots, and the function that takes steps."""
        self.network = model.build(self.options.model_type, self.precision)
        self.optimizer = make_optimizer(self.options)
        self.optimizer.build(self.network.trainable_variables)
        self._images = tf.constant(self.train.images)
        self._labels = tf.constant(self.train.labels.astype(np.int32))
        self._run = tf.function(
            self._steps,
            input_signature=[
                tf.TensorSpec([None, self.options.batch_size], tf.int32),
                tf.TensorSpec([], tf.int32),
            ],
        )

    def state(self) -> list[np.ndarray]:
        """Give all that a checkpoint must hold: weights, layers' random state, the optimizer's slots."""
        return [np.asarray(variable) for variable in self._variables()]

    def restore(self, step: int, state: list[np.ndarray]) -> None:
        """Go on after `step` steps with what `state()` gave; raises UsageError if the model has changed."""
        variables = self._variables()
        if [tuple(variable.shape) for variable in variables] != [value.shape for value in state]:
            raise UsageError(
                f"The checkpoint at step {step} does not fit {self.options.model_type} as it is now: the "
                "code has changed since; give a new version tag to train from the start."
            )
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        self.step = step

    def agree(self) -> None:
        """Settle with the other members where to go on from; alone there is nobody to ask."""

    def run(self, until: int, stopped: Callable[[], bool]) -> None:
        """Train up to step `until`; after each call into TensorFlow `stopped()` may end it earlier.

        Raises TrainerError when the loss is no longer a number.
        """
        logged = time.monotonic()
        self._pace.mark(logged, self.step)
        while self.step < until and not stopped():
            count = min(self._length, until - self.step)
            started = time.monotonic()
            losses, accuracies = self._take(count)
            now = time.monotonic()
            self._refuse_nan(losses)
            self.write("loss", self.step, losses)
            self.write("accuracy", self.step, accuracies)
            self.write("learning_rate", self.step, rates(self.options, self.step, count))
            self.step += count
            self._length = self._fitting(count, now - started)
            self._pace.mark(now, self.step)
            if now - logged >= LOG_SECONDS or self.step == until:
                self._log(losses[-1], accuracies[-1])
                logged = now

    def _take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Take the next `count` steps; gives each one's loss and accuracy, float32 [count]."""
        losses, accuracies = self._run(self._order(count), self.step)
        return losses.numpy(), accuracies.numpy()

    def _fitting(self, count: int, seconds: float) -> int:
        """Give the number of steps for the next call, by how long the last `count` took."""
        return max(1, min(2 * self._length, int(count * CALL_SECONDS / seconds)))

    def _order(self, count: int) -> np.ndarray:
        """Give the indices [count, batch] of the images of the next steps; epochs follow without a seam."""
        size, total = self.options.batch_size, len(self.train.labels)
        at = np.arange(self.step * size, (self.step + count) * size)
        epochs = range(int(at[0]) // total, int(at[-1]) // total + 1)
        orders = np.concatenate([_shuffled(self.options.seed, epoch, total) for epoch in epochs])
        return orders[at - epochs[0] * total].reshape(count, size)

    def _steps(self, order: tf.Tensor, first: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Take len(order) steps in the graph; gives the loss and the accuracy of each on its own batch."""
        count = tf.shape(order)[0]
        losses = tf.TensorArray(tf.float32, count)
        accuracies = tf.TensorArray(tf.float32, count)
        for number in tf.range(count):
            loss, accuracy = self._one_step(order[number], first + number)
            losses = losses.write(number, loss)
            accuracies = accuracies.write(number, accuracy)
        return losses.stack(), accuracies.stack()

    def _one_step(self, indices: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self._learn(tf.gather(self._images, indices), tf.gather(self._labels, indices), step)

    def _learn(self, images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Learn from images uint8 [n, 28, 28]; gives loss and accuracy as their share of the batch's."""
        images = self._shift(images, step)
        pixels = tf.cast(images[..., tf.newaxis], tf.float32) / 255.0
        weights = self.network.trainable_variables
        with tf.GradientTape() as tape:
            logits = tf.cast(self.network(pixels, training=True), tf.float32)
            loss = self._share(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        right = tf.equal(tf.argmax(logits, -1, tf.int32), labels)
        return loss, self._share(tf.cast(right, tf.float32))

    def _share(self, values: tf.Tensor) -> tf.Tensor:
        """Give what these images add to the mean of the batch: here they are the whole of it."""
        return tf.reduce_mean(values)

    def _shift(self, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Move a batch by up to `augment_pixels` each way, the same way for all: cheap, and enough."""
        reach = self.options.augment_pixels
        if not reach:
            return images
        corner = tf.random.stateless_uniform([2], [self.options.seed, step], 0, 2 * reach + 1, tf.int32)
        padded = tf.pad(images, [[0, 0], [reach, reach], [reach, reach]])
        return tf.slice(padded, [0, corner[0], corner[1]], [-1, 28, 28])

    def _variables(self) -> list[keras.Variable]:
        """All state: `network.variables` has the counters behind dropout too, unlike `network.weights`."""
        return [*self.network.variables, *self.optimizer.variables]

    def _refuse_nan(self, losses: np.ndarray) -> None:
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad):
            raise TrainerError(
                f"The loss was {losses[bad[0]]} at step {self.step + bad[0] + 1}: the training has blown up, "
                "nothing is exported; a new version tag and a --tf-learning-rate smaller than "
                f"{self.options.learning_rate:g} would be right."
            )

    def _log(self, loss: float, accuracy: float) -> None:
        total, rate = self.options.train_steps, self._pace.rate()
        images = rate * self.options.batch_size
        progress(self.step, total, float(loss), float(accuracy), images, (total - self.step) / rate)


@lru_cache(maxsize=8)
def _shuffled(seed: int, epoch: int, total: int) -> np.ndarray:
    """Give the order of `total` images in an epoch, the same one whenever it is asked for."""
    return np.random.default_rng([seed, epoch]).permutation(total).astype(np.int32)
