"""Train and export as `python -m trainer` does, then write down what the exported version sees, and its weights.

What it sees is what every server has to answer; from the weights the peers' ONNX file is made. All in one process, for
TensorFlow takes seconds to import.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np


def test_images(version: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the images, uint8 [N, 784], and the digits, uint8 [N], that the version carries."""
    with zipfile.ZipFile(version / "assets.extra" / "test_images.zip") as archive:
        images = np.frombuffer(archive.read("images.idx"), np.uint8, offset=16)
        return images.reshape(-1, 784), np.frombuffer(archive.read("labels.idx"), np.uint8, offset=8)


def weights(version: Path) -> list[np.ndarray]:
    """Read the version's variables, float32, in the order of the network's layers: kernel, bias, kernel, …"""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("_weights/")]
    return [reader.get_tensor(name) for name in sorted(names, key=lambda name: int(name.split("/")[1]))]


def seen(version: Path, images: np.ndarray) -> np.ndarray:
    """Ask the exported signature for the probabilities, float32 [N, 10]."""
    import tensorflow as tf

    signature = tf.saved_model.load(str(version)).signatures["serving_default"]
    return signature(x=tf.constant(images, tf.float32) / 255)["predictions"].numpy()


def main(folder: str, version: str, *flags: str) -> int:
    """Train with the trainer's flags; write `<folder>/served.npz`; give the trainer's exit code where it fails."""
    sys.path.insert(0, str(Path.cwd()))  # the trainer's own folder, where its manifest starts it
    from trainer.__main__ import main as train

    code = train(flags)
    if code:
        return code
    images, labels = test_images(Path(version))
    found = io.BytesIO()
    np.savez(found, *weights(Path(version)), images=images, labels=labels, predictions=seen(Path(version), images))
    Path(folder, "served.npz").write_bytes(found.getvalue())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
