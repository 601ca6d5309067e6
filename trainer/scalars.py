"""TensorBoard's event file with the curves of a run, written as plain records, which is cheap."""

from __future__ import annotations

import os
import time

import numpy as np
import tensorflow as tf

from trainer import files

EVERY = 10
"""One point of a curve in so many steps."""


class Scalars:
    """An event file in `<folder>/tensorboard`; the format is that of tensorflow/core/util/event.proto."""

    def __init__(self, folder: str) -> None:
        folder = files.join(folder, "tensorboard")
        name = f"events.out.tfevents.{int(time.time())}.{os.getpid()}"
        with files.saying(f"write TensorBoard's events to {folder}"):
            tf.io.gfile.makedirs(folder)
            self._writer = tf.io.TFRecordWriter(files.join(folder, name))
            self._add(tf.compat.v1.Event(wall_time=time.time(), file_version="brain.Event:2"))

    def write(self, name: str, first: int, values: np.ndarray) -> None:
        """Add every tenth of the values of the steps that follow `first`."""
        now = time.time()
        for step, value in enumerate(values.tolist(), first + 1):
            if step % EVERY == 0 or len(values) == 1:
                summary = tf.compat.v1.Summary(
                    value=[tf.compat.v1.Summary.Value(tag=name, simple_value=value)]
                )
                self._add(tf.compat.v1.Event(wall_time=now, step=step, summary=summary))

    def flush(self) -> None:
        """Make what was written visible to TensorBoard."""
        with files.saying("write TensorBoard's events"):
            self._writer.flush()

    def _add(self, event: tf.compat.v1.Event) -> None:
        self._writer.write(event.SerializeToString())
