"""The MNIST convnet of keras.io: two convolutions, dropout, Adam, batches of 128, a tenth held out.

After https://keras.io/examples/vision/mnist_convnet/ (F. Chollet, 2015 to 2020), written anew. Of its 15 epochs it does
as many as it takes to reach the target. It saves the model, so that it ends, as ours does, with one that can be used.
"""

from __future__ import annotations

import common
import keras
import numpy as np
import tensorflow as tf
from keras import layers


def build() -> keras.Model:
    """Build and compile the network."""
    network = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )
    network.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return network


class UntilTarget(keras.callbacks.Callback):
    """Stop after the first epoch that reaches the target on the test set."""

    def __init__(self, look: common.Looks, target: float) -> None:
        super().__init__()
        self.look, self.target, self.epochs = look, target, 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Look, and stop if that is enough."""
        self.epochs = epoch + 1
        share = self.look()
        print(f"epoch {self.epochs}: {share:.4f}", flush=True)
        self.model.stop_training = share >= self.target


def main() -> None:
    """Train until the target or the cap, evaluate, save, report."""
    asked = common.arguments()
    keras.utils.set_random_seed(asked.seed)
    images, labels, test, truth = common.mnist(asked.mnist, asked.images)
    pixels, test_pixels = (part[..., np.newaxis].astype("float32") / 255 for part in (images, test))
    one_hot, test_one_hot = (keras.utils.to_categorical(part, 10) for part in (labels, truth))
    network = build()

    def right() -> float:
        return float(network.evaluate(test_pixels, test_one_hot, verbose=0)[1])

    stop = UntilTarget(common.Looks(right), asked.target)
    network.fit(pixels, one_hot, batch_size=128, epochs=asked.cap, validation_split=0.1, verbose=2, callbacks=[stop])
    accuracy = right()
    network.save(asked.scratch / "model.keras")
    versions = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    common.report(accuracy, len(truth), (stop.epochs, "epochs"), versions, stop.look)


if __name__ == "__main__":
    main()
