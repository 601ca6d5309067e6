"""Make the ONNX file that the peers serve: the network `fast` with its trained weights, shown to see the same.

Written with `onnx.helper`, node by node: seven layers need no converter.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SHAPES = [(5, 5, 1, 16), (16,), (3, 3, 16, 32), (32,), (1568, 64), (64,), (64, 10), (10,)]
"""What `fast` of trainer/model.py has; another network needs other nodes."""

CLOSE = 1e-5
"""How far a probability may be from TensorFlow's: float32, summed in another order."""


def channels_first(weights: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Turn Keras' layout into ONNX's: kernels [out, in, height, width], flattened features channel by channel."""
    first, first_bias, second, second_bias, dense, dense_bias, last, last_bias = weights
    return {
        "first": first.transpose(3, 2, 0, 1), "first_bias": first_bias,
        "second": second.transpose(3, 2, 0, 1), "second_bias": second_bias,
        "dense": dense.reshape(7, 7, 32, 64).transpose(2, 0, 1, 3).reshape(1568, 64), "dense_bias": dense_bias,
        "last": last, "last_bias": last_bias,
    }  # fmt: skip


def network(weights: list[np.ndarray]) -> onnx.ModelProto:
    """Build the network: `x` float32 [N, 784] of 0 to 1 in, `predictions` float32 [N, 10] out."""
    if [one.shape for one in weights] != SHAPES:
        raise SystemExit(f"onnx_network: these are no weights of `fast`: {[one.shape for one in weights]}")
    node, same = helper.make_node, {"auto_pad": "SAME_UPPER"}
    nodes = [
        node("Reshape", ["x", "image"], ["pixels"]),
        node("Conv", ["pixels", "first", "first_bias"], ["a"], strides=[2, 2], **same),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "second", "second_bias"], ["c"], **same),
        node("Relu", ["c"], ["d"]),
        node("MaxPool", ["d"], ["e"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["e"], ["f"]),
        node("Gemm", ["f", "dense", "dense_bias"], ["g"]),
        node("Relu", ["g"], ["h"]),
        node("Gemm", ["h", "last", "last_bias"], ["logits"]),
        node("Softmax", ["logits"], ["predictions"], axis=1),
    ]
    constants = {**channels_first(weights), "image": np.array([-1, 1, 28, 28], np.int64)}
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
        for name, size in (("x", 784), ("predictions", 10))
    ]
    stored = [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "fast", ends[:1], ends[1:], stored)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def differs(path: Path, images: np.ndarray, predictions: np.ndarray) -> float:
    """Give the largest difference between a probability of ONNX Runtime's and the trained version's own."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": images.astype(np.float32) / 255})
    return float(np.abs(found - predictions).max())


def main(folder: str) -> int:
    """Read `served.npz`, write `network.onnx`, compare; the last line says how far apart the two are."""
    served = np.load(Path(folder, "served.npz"))
    path = Path(folder, "network.onnx")
    onnx.save(network([served[f"arr_{number}"] for number in range(len(SHAPES))]), path)
    apart = differs(path, served["images"], served["predictions"])
    if not apart < CLOSE:
        raise SystemExit(f"onnx_network: a probability is {apart:.2g} from TensorFlow's, {CLOSE:g} would be right")
    versions = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    print(json.dumps({"apart": apart, "images": len(served["images"]), "versions": versions}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
