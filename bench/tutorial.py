"""The trainer of the 2019 tutorial: its network, plain gradient descent at 0.01, batches of 100, a graph in a session.

After model.py of https://github.com/kubeflow/examples/tree/master/mnist as of February 2019, ported: that one wants
TensorFlow 1 and its Estimator, which no Python from 3.8 on can install. The graph, the monitored session with its
checkpoints, and the export are those that the Estimator made, by the same calls where TensorFlow 2 still has them.
Unlike the original it evaluates the test set; it stops at the target, where it is given one, and looks once an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator

import common
import numpy as np
import tensorflow as tf
from tensorflow.compat import v1

BATCH, RATE, EPOCH = 100, 0.01, 600


def weights(name: str, shape: list[int]) -> tuple[tf.Variable, tf.Variable]:
    """Make a layer's kernel, drawn as tf.layers drew it, and its bias."""
    kernel = v1.get_variable(f"{name}/kernel", shape, initializer=v1.glorot_uniform_initializer())
    return kernel, v1.get_variable(f"{name}/bias", shape[-1:], initializer=v1.zeros_initializer())


def logits_of(images: tf.Tensor, dropout: tf.Tensor) -> tf.Tensor:
    """Give the logits of images [N, 28, 28]; 3,274,634 parameters."""
    seen = tf.reshape(images, [-1, 28, 28, 1])
    for name, shape in (("conv1", [5, 5, 1, 32]), ("conv2", [5, 5, 32, 64])):
        kernel, bias = weights(name, shape)
        seen = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(seen, kernel, 1, "SAME") + bias), 2, 2, "VALID")
    kernel, bias = weights("dense", [3136, 1024])
    dense = tf.nn.relu(tf.reshape(seen, [-1, 3136]) @ kernel + bias)
    kernel, bias = weights("logits", [1024, 10])
    return v1.nn.dropout(dense, rate=dropout) @ kernel + bias


class Graph:
    """Everything that the Estimator's model function made."""

    def __init__(self, seed: int) -> None:
        v1.set_random_seed(seed)
        step = v1.train.get_or_create_global_step()
        self.x = v1.placeholder(tf.float32, [None, 28, 28], "x")
        self.truth = v1.placeholder(tf.int64, [None])
        self.dropout = v1.placeholder_with_default(0.0, [])
        logits = logits_of(self.x, self.dropout)
        self.classes, self.predictions = tf.argmax(logits, 1), tf.nn.softmax(logits)
        self.loss = v1.losses.sparse_softmax_cross_entropy(self.truth, logits)
        self.train = v1.train.GradientDescentOptimizer(RATE).minimize(self.loss, step)

    def step(self, session: v1.Session, images: np.ndarray, labels: np.ndarray) -> None:
        """Take one step on a batch; images are float32."""
        session.run(self.train, {self.x: images, self.truth: labels, self.dropout: 0.5})

    def right(self, session: v1.Session, images: np.ndarray, labels: np.ndarray) -> float:
        """Give the share of right answers."""
        parts = [images[at : at + 1000].astype(np.float32) / 255 for at in range(0, len(labels), 1000)]
        seen = np.concatenate([session.run(self.classes, {self.x: part}) for part in parts])
        return float((seen == labels).mean())

    def export(self, session: v1.Session, folder: str) -> None:
        """Write the SavedModel with the tutorial's signature."""
        v1.saved_model.simple_save(
            session, folder, {"x": self.x}, {"predictions": self.predictions, "classes": self.classes}
        )


def batches(count: int, seed: int) -> Iterator[np.ndarray]:
    """Give the indices of batch after batch, shuffled anew in each epoch, without end."""
    draw = np.random.default_rng(seed)
    while True:
        yield from np.split(draw.permutation(count), range(BATCH, count, BATCH))


def main() -> None:
    """Train until the target or the cap, evaluate, export, report."""
    asked = common.arguments()
    v1.disable_eager_execution()
    images, labels, test, truth = common.mnist(asked.mnist, asked.images)
    pixels, classes = images.astype(np.float32) / 255, labels.astype(np.int64)
    graph, order = Graph(asked.seed), batches(len(labels), asked.seed)
    saver = v1.train.Saver()
    hook = v1.train.CheckpointSaverHook(str(asked.scratch / "model"), save_secs=600, saver=saver)
    steps, reached = 0, False
    with v1.train.SingularMonitoredSession(hooks=[hook]) as monitored:
        session = monitored.raw_session()
        look = common.Looks(lambda: graph.right(session, test, truth))
        while steps < asked.cap and not reached:
            rows = next(order)
            graph.step(monitored, pixels[rows], classes[rows])
            steps += 1
            if asked.target < 1 and steps % EPOCH == 0:
                share = look()
                print(f"step {steps}: {share:.4f}", flush=True)
                reached = share >= asked.target
    with v1.Session() as session:  # as `evaluate` and `export_savedmodel` did: from the last checkpoint
        saver.restore(session, v1.train.latest_checkpoint(str(asked.scratch / "model")))
        accuracy = graph.right(session, test, truth)
        graph.export(session, str(asked.scratch / "export"))
    versions = {"tensorflow": tf.__version__, "numpy": np.__version__}
    common.report(accuracy, len(truth), (steps, "steps"), versions, look)


if __name__ == "__main__":
    main()
