"""TensorBoard's event file with the curves of a run, written as plain records, which is cheap."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager

import numpy as np
import tensorflow as tf

from trainer import files

EVERY = 10
"""One point of a curve in so many steps."""


class Scalars:
    """An event file in `<folder>/tensorboard`; the format is that of tensorflow/core/util/event.proto."""

    def __init__(self, folder: str) -> None:
        self._folder = files.join(folder, "tensorboard")
        name = f"events.out.tfevents.{int(time.time())}.{os.getpid()}"
        files.make_folder(self._folder)
        with self._saying():
            self._writer = tf.io.TFRecordWriter(files.join(self._folder, name))
        self._add(tf.compat.v1.Event(wall_time=time.time(), file_version="brain.Event:2"))

    def write(self, name: str, first: int, values: np.ndarray) -> None:
        """Add every tenth of the values of the steps that follow `first`."""
        for step, value in enumerate(values.tolist(), first + 1):
            if step % EVERY == 0:
                self.point(name, step, value)

    def point(self, name: str, step: int, value: float) -> None:
        """Add one point to a curve."""
        point = tf.compat.v1.Summary.Value(tag=name, simple_value=value)
        summary = tf.compat.v1.Summary(value=[point])
        self._add(tf.compat.v1.Event(wall_time=time.time(), step=step, summary=summary))

    def flush(self) -> None:
        """Make what was written visible to TensorBoard."""
        with self._saying():
            self._writer.flush()

    def _add(self, event: tf.compat.v1.Event) -> None:
        with self._saying():
            self._writer.write(event.SerializeToString())

    def _saying(self) -> AbstractContextManager[None]:
        return files.saying(f"write TensorBoard's events to {self._folder}")
