"""Training in step: each replica learns from its part of every batch, and the gradients are summed over all.

A replica is a member of the cluster or one of its GPUs. Every member takes the same steps in the same order, so what
must be the same everywhere (how many steps a call has, whether to stop) is settled in the call itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from trainer.errors import UsageError
from trainer.options import Options
from trainer.train import Trainer

FAR = 1_000_003
"""Between the seeds of two replicas: each drops other neurons."""


def shared(options: Options, replicas: int) -> Options:
    """Give the options for the whole batch: kept, or scaled by the replicas together with the learning rate.

    The linear rule is that of P. Goyal et al., Accurate, Large Minibatch SGD, 2017 (arXiv 1706.02677).
    """
    if options.global_batch == "keep":
        if options.batch_size < replicas:
            raise UsageError(
                f"--tf-batch-size: {options.batch_size} images cannot be shared among {replicas} replicas."
            )
        return options
    rate = options.learning_rate * replicas
    return replace(options, batch_size=options.batch_size * replicas, learning_rate=rate)


@dataclass
class Replicated(Trainer):
    """A Trainer whose steps all replicas of a strategy share; `leads` marks the member whose state counts."""

    strategy: tf.distribute.Strategy = None
    leads: bool = True

    def _build(self) -> None:
        with self.strategy.scope():
            super()._build()
        self._replicas, self._local = self.strategy.num_replicas_in_sync, len(self.strategy.extended.worker_devices)
        self._proposal, self._agreed, self._stop = 1, 1, False
        self._wish: Callable[[], bool] = lambda: False
        order = tf.TensorSpec([None, self.options.batch_size], tf.int32)
        self._call = tf.function(
            self._call_all, input_signature=[order, tf.TensorSpec([], tf.int32), tf.TensorSpec([2], tf.float32)]
        )

    def agree(self) -> None:
        """Put every member at the leader's step, with the leader's state; all members must come here."""
        variables = self._variables()
        step, *state = self._from_leader([np.asarray(self.step), *map(np.asarray, variables)])
        self.step = int(step)
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        tf.function(self.strategy.run)(self._part_seeds)

    def run(self, until: int, stopped: Callable[[], bool]) -> None:
        """Train up to step `until`, or to where any member's `stopped()` made all stop."""
        self._wish = stopped
        super().run(until, lambda: self._stop)

    def _take(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        wish = [float(self._wish()), float(self._proposal) if self.leads else 0.0]
        answer = self._call(self._order(count), self.step, wish).numpy()
        self._stop, self._agreed = bool(answer[0] > 0), round(float(answer[1]))
        return answer[2 : count + 2], answer[count + 2 :]

    def _fitting(self, count: int, seconds: float) -> int:
        self._proposal = super()._fitting(count, seconds)
        return self._agreed

    def _call_all(self, order: tf.Tensor, first: tf.Tensor, wish: tf.Tensor) -> tf.Tensor:
        """Take len(order) steps everywhere; gives the wishes' sums, then each step's loss, then its accuracy."""
        count = tf.shape(order)[0]
        losses, accuracies = tf.TensorArray(tf.float32, count), tf.TensorArray(tf.float32, count)
        for number in tf.range(count):
            loss, accuracy = self.strategy.run(self._one_step, (order[number], first + number))
            losses = losses.write(number, self._local_sum(loss))
            accuracies = accuracies.write(number, self._local_sum(accuracy))
        mine = tf.concat([wish, losses.stack(), accuracies.stack()], 0)
        return self._local_first(self.strategy.run(self._sum_of_members, (mine,)))

    def _one_step(self, indices: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        number, size = tf.distribute.get_replica_context().replica_id_in_sync_group, self.options.batch_size
        part = indices[size * number // self._replicas : size * (number + 1) // self._replicas]
        return super()._one_step(part, step)

    def _share(self, values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(values) / self.options.batch_size

    def _sum_of_members(self, values: tf.Tensor) -> tf.Tensor:
        """Sum what each member has, once for all of its replicas."""
        context = tf.distribute.get_replica_context()
        first = tf.equal(context.replica_id_in_sync_group % self._local, 0)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(first, values, tf.zeros_like(values)))

    def _from_leader(self, values: list[np.ndarray]) -> list[np.ndarray]:
        mine = [value if self.leads else np.zeros_like(value) for value in values]
        everywhere = tf.function(self.strategy.run)(lambda: [self._sum_of_members(tf.constant(one)) for one in mine])
        return [self._local_first(one).numpy() for one in everywhere]

    def _part_seeds(self) -> None:
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        for variable in self.network.non_trainable_variables:
            if variable.name == "seed_generator_state":
                variable.assign_add(tf.cast(tf.stack([number * FAR, 0]), variable.dtype))

    def _local_sum(self, values: tf.Tensor) -> tf.Tensor:
        return tf.add_n(self.strategy.experimental_local_results(values))

    def _local_first(self, values: tf.Tensor) -> tf.Tensor:
        return self.strategy.experimental_local_results(values)[0]
