"""The model as it is served: float32, without the optimizer's slots, with the signatures of the tutorial."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from trainer import model

FORMS = [[28, 28], [784]]
"""What one image of the input may look like."""

REFUSAL = "x must be [N, 28, 28] or [N, 784], N at least 1, but is"
"""What is said of an input of another form, before its shape."""

SIGNATURES = ["serving_default", "classes"]
"""Both of the tutorial's, one function."""


class Servable(tf.Module):
    """A trained network as one function `classify`, for TensorFlow Serving and for the evaluation."""

    def __init__(self, name: str, weights: list[np.ndarray]) -> None:
        """Put a copy of the weights into a fresh float32 network, whatever precision trained them."""
        super().__init__(name="servable")
        network = model.build(name)
        network.set_weights(weights)
        # TensorFlow Serving restores what is tracked here by its variable handles. Of a Keras layer it would
        # restore copies that `classify` does not read, so the plain variables are tracked and the network,
        # in a closure, is not.
        self._weights = [variable.value for variable in network.variables]
        self._logits = lambda images: network(images, training=False)

    @tf.function(input_signature=[tf.TensorSpec(None, tf.float32, name="x")])
    def classify(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Take images [N, 28, 28] or [N, 784] of 0 to 1; give `predictions` [N, 10] and `classes` int64 [N].

        The signature leaves the rank open so that both forms fit; any other form is refused when asked.
        """
        form = tf.strings.reduce_join(tf.strings.as_string(tf.shape(x)[1:]), separator=",")
        forms = [",".join(map(str, one)) for one in FORMS]
        fits = tf.logical_and(tf.reduce_any(tf.equal(form, forms)), tf.size(x) > 0)
        with tf.control_dependencies([tf.debugging.Assert(fits, [REFUSAL, tf.shape(x)])]):
            return self.answer(tf.identity(x))

    def answer(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Do what `classify` does, for images that are known to fit."""
        logits = self._logits(tf.reshape(x, [-1, 28, 28, 1]))
        return {
            "predictions": tf.nn.softmax(logits),
            "classes": tf.argmax(logits, axis=-1, output_type=tf.int64),
        }

    def save(self, folder: str) -> None:
        """Write the SavedModel with `classify` under both of the tutorial's signatures."""
        function = self.classify.get_concrete_function()
        tf.saved_model.save(self, folder, signatures=dict.fromkeys(SIGNATURES, function))


def from_network(network: keras.Model) -> Servable:
    """Give the servable copy of a network in training."""
    return Servable(network.name, network.get_weights())
