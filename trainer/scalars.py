"""TensorBoard's event file with the curves and pictures of a run, written as plain records, which is cheap."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer import files
from trainer.picture import Picture

EVERY = 10
"""One point of a curve in so many steps."""


@dataclass(frozen=True)
class Recorded:
    """What event files hold: of each curve its points (step, value), and of each picture the last one."""

    curves: dict[str, list[tuple[int, float]]]
    pictures: dict[str, Picture]


def read(folder: str) -> Recorded:
    """Read back what runs wrote to `<folder>/tensorboard`; a step that was done again counts as it went last."""
    place = files.join(folder, "tensorboard")
    paths = [files.join(place, name) for name in sorted(files.names_in(place))]
    curves: dict[str, dict[int, float]] = {}
    pictures: dict[str, Picture] = {}
    for record in tf.data.TFRecordDataset(paths).as_numpy_iterator():
        event = tf.compat.v1.Event.FromString(record)
        for value in event.summary.value:
            if value.HasField("image"):
                image = value.image
                pictures[value.tag] = Picture(image.encoded_image_string, image.width, image.height)
            else:
                curves.setdefault(value.tag, {})[event.step] = value.simple_value
    return Recorded({name: sorted(points.items()) for name, points in curves.items()}, pictures)


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
        self._add_value(step, tf.compat.v1.Summary.Value(tag=name, simple_value=value))

    def picture(self, name: str, step: int, picture: Picture) -> None:
        """Add a picture that shows how the model is after `step` steps."""
        image = tf.compat.v1.Summary.Image(
            height=picture.height, width=picture.width, colorspace=3, encoded_image_string=picture.png
        )
        self._add_value(step, tf.compat.v1.Summary.Value(tag=name, image=image))

    def flush(self) -> None:
        """Make what was written visible to TensorBoard."""
        with self._saying():
            self._writer.flush()

    def _add_value(self, step: int, value: tf.compat.v1.Summary.Value) -> None:
        summary = tf.compat.v1.Summary(value=[value])
        self._add(tf.compat.v1.Event(wall_time=time.time(), step=step, summary=summary))

    def _add(self, event: tf.compat.v1.Event) -> None:
        with self._saying():
            self._writer.write(event.SerializeToString())

    def _saying(self) -> AbstractContextManager[None]:
        return files.saying(f"write TensorBoard's events to {self._folder}")
