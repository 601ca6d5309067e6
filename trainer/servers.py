"""Training through parameter servers: they hold the weights, each worker learns from batches of its own.

The chief deals the batches out and waits for nobody in particular: a worker may learn with weights that another has
changed meanwhile. One step is one batch on one worker, so steps, batch and learning rate mean what they mean alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import tensorflow as tf

from trainer.cluster import Member, host_and_port
from trainer.errors import LostMember
from trainer.log import say
from trainer.meeting import answers
from trainer.quiet import sifted_stderr
from trainer.signals import Interrupted, Signals
from trainer.train import Trainer

PIECE = 16
"""Steps that a worker takes for one request at most: enough that asking costs little, few enough to spread evenly."""

ROUND = 2
"""Pieces that each worker has in one round; at its end all wait for the slowest."""

LINGER = 20.0
"""Seconds that a server stays after SIGTERM, so that the chief can still read the weights; Spot nodes give 25."""

GIVE_UP = 10.0
"""Seconds after a signal in which the steps that were dealt out must come back."""


def serve(member: Member, signals: Signals) -> NoReturn:
    """Be a worker or a parameter server until a signal; then stay as long as the chief is there, within LINGER."""
    cluster = tf.train.ClusterSpec(dict(member.cluster))
    with sifted_stderr():
        server = tf.distribute.Server(cluster, job_name=member.role, task_index=member.index, protocol="grpc")
    say(f"Ready as {member.name} at {server.target}")
    with signals.held():
        while not signals.noted:
            time.sleep(0.1)
    until = time.monotonic() + LINGER
    while answers(host_and_port(member.cluster["chief"][0])) and time.monotonic() < until:
        time.sleep(0.2)
    raise Interrupted(signals.noted)


@dataclass
class Dealt(Trainer):
    """A Trainer that has its steps taken by the workers of a ParameterServerStrategy."""

    strategy: tf.distribute.ParameterServerStrategy = None
    workers: int = 1

    def _build(self) -> None:
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(self.strategy)
        self._stopped: Callable[[], bool] = lambda: False
        with self.strategy.scope():
            super()._build()
        images = tf.TensorSpec([None, self.options.batch_size, 28, 28], tf.uint8)
        labels = tf.TensorSpec([None, self.options.batch_size], tf.int32)
        self._piece = tf.function(self._steps_of_piece, input_signature=[images, labels, tf.TensorSpec([], tf.int32)])

    def run(self, until: int, stopped: Callable[[], bool]) -> None:
        """Train up to step `until`, or until `stopped()`."""
        self._stopped = stopped
        super().run(until, stopped)

    def _fitting(self, count: int, seconds: float) -> int:
        return max(self.workers * ROUND, super()._fitting(count, seconds))

    def _take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        order = self._order(count)
        images, labels = self.train.images[order], self.train.labels[order].astype(np.int32)
        size = min(PIECE, -(-count // (self.workers * ROUND)))
        dealt = [
            self._coordinator.schedule(self._piece, (images[at : at + size], labels[at : at + size], self.step + at))
            for at in range(0, count, size)
        ]
        self._wait()
        losses, accuracies = zip(*(one.fetch() for one in dealt), strict=True)
        return np.concatenate(losses), np.concatenate(accuracies)

    def _wait(self) -> None:
        """Wait until all that was dealt out is done; not by `join`, which would go on waiting after a signal."""
        asked = None
        while not self._coordinator.done():
            time.sleep(0.005)
            asked = asked or (time.monotonic() if self._stopped() else None)
            if asked and time.monotonic() > asked + GIVE_UP:
                raise LostMember("The workers did not answer after the signal; the last checkpoint stays.")
        self._coordinator.join()  # raises what went wrong

    def _steps_of_piece(self, images: tf.Tensor, labels: tf.Tensor, first: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        count = tf.shape(labels)[0]
        losses, accuracies = tf.TensorArray(tf.float32, count), tf.TensorArray(tf.float32, count)
        for number in tf.range(count):
            step = (images[number], labels[number], first + number)
            loss, accuracy = self.strategy.run(self._learn, step)
            losses, accuracies = losses.write(number, loss), accuracies.write(number, accuracy)
        return losses.stack(), accuracies.stack()
