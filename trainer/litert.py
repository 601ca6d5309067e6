"""The LiteRT copy of a model, which the embedded server runs without TensorFlow; made only where it answers alike."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError  # the public names leave it out

from trainer.log import say
from trainer.quiet import sifted_stderr
from trainer.servable import FORMS, REFUSAL, SIGNATURES, Servable

MODEL, ABOUT = "model.tflite", "litert.json"
"""The copy, and what the server must know of it: both in `assets.extra`, which TensorFlow Serving passes over."""

BOUND = 1e-5
"""How far a probability may be from TensorFlow's; two orders above what rounding does (1e-7)."""

BATCH = 32
"""Images a call: more of them do not fit the processor's cache, and each then takes twice as long."""


@dataclass(frozen=True)
class Copy:
    """A LiteRT model, and how far its probabilities are from TensorFlow's at most, over so many test images."""

    model: bytes
    max_difference: float
    test_examples: int

    def write(self, extra: Path) -> None:
        """Put the copy into `assets.extra`."""
        (extra / MODEL).write_bytes(self.model)
        about = {"signatures": SIGNATURES, "input": "x", "forms": FORMS, "refusal": REFUSAL}
        (extra / ABOUT).write_text(json.dumps(about, indent=1) + "\n")

    def entry(self) -> dict[str, object]:
        """Give the model card's entry."""
        return {key: value for key, value in asdict(self).items() if key != "model"}


def checked_copy(servable: Servable, images: np.ndarray, expected: np.ndarray) -> Copy | None:
    """Convert the model and ask the copy about all test images [N, 28, 28] of bytes; None where it answers otherwise.

    `expected` are TensorFlow's probabilities [N, 10]. A model without a copy is served by TensorFlow, as ever.
    """
    try:
        model = convert(servable)
    except ConverterError as error:
        say(f"No LiteRT copy: the model cannot be converted ({str(error).strip().splitlines()[0]})")
        return None
    answers, classes = run(model, images)
    difference = float(np.abs(answers - expected).max())
    truth = expected.argmax(1)
    others = int(np.count_nonzero((answers.argmax(1) != truth) | (classes != truth)))
    if others or not difference <= BOUND:
        say(f"No LiteRT copy: it sees {others} of {len(images)} test images otherwise, by up to {difference:.2g}")
        return None
    return Copy(model, difference, len(images))


def convert(servable: Servable) -> bytes:
    """Give the model as LiteRT has it: `x` [N, 28, 28] in, the outputs of `classify`.

    From the function and not from the SavedModel: of that the converter loses all weights without a word.
    """
    function = tf.function(servable.answer, input_signature=[tf.TensorSpec([None, 28, 28], tf.float32, name="x")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], servable)
    with sifted_stderr():
        return bytes(converter.convert())


def run(model: bytes, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ask a LiteRT model about images [N, 28, 28] of bytes: probabilities [N, 10], classes [N]."""
    with sifted_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the interpreter will leave TensorFlow some day
        interpreter = tf.lite.Interpreter(model_content=model, num_threads=os.cpu_count())
        ask = interpreter.get_signature_runner("serving_default")
        parts = [ask(x=_scaled(images[start : start + BATCH])) for start in range(0, len(images), BATCH)]
    return tuple(np.concatenate([part[name] for part in parts]) for name in ("predictions", "classes"))


def _scaled(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / 255.0
