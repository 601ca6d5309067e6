"""Which strategy trains here: alone, on several GPUs, in step with other members, or through parameter servers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import tensorflow as tf

from trainer.cluster import Member
from trainer.data import Split
from trainer.errors import LostMember
from trainer.options import Options
from trainer.quiet import sifted_stderr
from trainer.servers import Dealt
from trainer.synchronous import Replicated
from trainer.train import Trainer

Write = Callable[[str, int, np.ndarray], None]

GONE = (
    *(tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError),
    *(tf.errors.DeadlineExceededError, tf.errors.FailedPreconditionError, tf.errors.UnknownError),
)
"""What TensorFlow raises when another member is gone, or has been started again and does not know the cluster."""


def devices() -> list[str]:
    """Name the GPUs that TensorFlow may use here, in its own words: GPU:0 and so on."""
    return [f"GPU:{number}" for number in range(len(tf.config.list_physical_devices("GPU")))]


def replicas(member: Member, gpus: Sequence[str]) -> int:
    """Count those that share a step: all members in step with each of their GPUs; through servers nobody does."""
    return 1 if member.layout == "servers" else member.in_step() * max(1, len(gpus))


def make(
    options: Options, train: Split, precision: str, write: Write, member: Member, gpus: Sequence[str] = ()
) -> Trainer:
    """Make the trainer for this member; all members of a cluster must come here."""
    if member.layout == "servers":
        with sifted_stderr():
            strategy = tf.distribute.ParameterServerStrategy(resolver(member, len(gpus)))
        return Dealt(options, train, precision, write, strategy=strategy, workers=len(member.cluster["worker"]))
    if member.layout == "synchronous":
        with sifted_stderr(), keeping_signals():
            strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver(member, len(gpus)))
        return Replicated(options, train, precision, write, strategy=strategy, leads=member.leads)
    if len(gpus) > 1:
        return Replicated(options, train, precision, write, strategy=tf.distribute.MirroredStrategy(gpus))
    return Trainer(options, train, precision, write)


def resolver(member: Member, gpus: int) -> tf.distribute.cluster_resolver.ClusterResolver:
    """Give the cluster in TensorFlow's form."""
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({role: list(addresses) for role, addresses in member.cluster.items()}),
        task_type=member.role, task_id=member.index, num_accelerators={"GPU": gpus}, rpc_layer="grpc",
    )  # fmt: skip


@contextmanager
def keeping_signals() -> Iterator[None]:
    """Take SIGTERM back from TensorFlow, whose coordination service catches it and then does nothing."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def losses_said() -> Iterator[None]:
    """Turn what TensorFlow raises when a member is lost into one sentence, and a code that is retried."""
    try:
        yield
    except GONE as error:
        raise LostMember(
            f"Another member of the training is gone ({type(error).__name__}); started again, this one waits for it "
            "and goes on from the last checkpoint."
        ) from error
