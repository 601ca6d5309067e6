"""The models by name: one function each, a list of layers read top to bottom; all end in ten logits."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

from trainer.errors import UsageError

PARAMETERS = {"cnn": 3_274_634, "linear": 7_850, "fast": 106_122, "accurate": 83_370}
"""What each model must count; a change of layers that is not meant is found here."""


def cnn() -> list[keras.Layer]:
    """Two wide convolutions and a large dense layer: the tutorial's network of 2019."""
    return [
        layers.Conv2D(32, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(1024, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10),
    ]


def linear() -> list[keras.Layer]:
    """One layer from pixels to logits."""
    return [layers.Flatten(), layers.Dense(10)]


def fast() -> list[keras.Layer]:
    """A small network that reaches 99 % in seconds: the first convolution strides and leaves little to do."""
    return [
        layers.Conv2D(16, 5, strides=2, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ]


def accurate() -> list[keras.Layer]:
    """Three convolutions straight to the logits: 99.5 % for nine times the work of `fast`."""
    return [
        layers.Conv2D(32, 5, strides=2, padding="same", activation="relu"),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(96, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(10),
    ]


MODELS: dict[str, Callable[[], list[keras.Layer]]] = {
    "cnn": cnn,
    "linear": linear,
    "fast": fast,
    "accurate": accurate,
}


def build(name: str, precision: str = "float32") -> keras.Model:
    """Build the model: float32 [N, 28, 28, 1] in, logits [N, 10] out.

    `precision` `bfloat16` computes in bfloat16 and keeps the weights in float32 (Keras' mixed policy).
    """
    if name not in MODELS:
        raise UsageError(f"There is no model {name!r}; there are {', '.join(MODELS)}.")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        model = keras.Sequential([keras.Input((28, 28, 1)), *MODELS[name]()], name=name)
    finally:
        keras.config.set_dtype_policy(before)
    if model.count_params() != PARAMETERS[name]:
        raise AssertionError(f"{name} has {model.count_params()} parameters, {PARAMETERS[name]} are meant")
    return model
