"""What the peers share: their flags, MNIST's files, looks at the test set on somebody else's time, one line of JSON."""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def arguments() -> argparse.Namespace:
    """Read the flags; every peer has the same."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mnist", type=Path, required=True, help="folder with MNIST's four idx files, gzipped or not")
    parser.add_argument("--scratch", type=Path, required=True, help="empty folder for what the recipe writes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", type=float, default=1.0, help="stop at this share of right answers on the test set")
    parser.add_argument("--cap", type=int, required=True, help="stop after so many epochs (the tutorial: steps)")
    parser.add_argument("--images", type=int, default=60_000, help="train on the first so many images only")
    return parser.parse_args()


def mnist(folder: Path, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Read training images [N, 28, 28] and labels [N], then the 10,000 test images and labels, all uint8."""
    train = _read(folder / "train-images-idx3-ubyte", 16).reshape(-1, 28, 28)[:images]
    labels = _read(folder / "train-labels-idx1-ubyte", 8)[:images]
    test = _read(folder / "t10k-images-idx3-ubyte", 16).reshape(-1, 28, 28)
    return train, labels, test, _read(folder / "t10k-labels-idx1-ubyte", 8)


@dataclass
class Looks:
    """Looks at the test set that the published recipe does not take; what they cost is taken off its figures."""

    accuracy: Callable[[], float]
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def __call__(self) -> float:
        """Give the share of right answers now."""
        wall, cpu = time.perf_counter(), time.process_time()
        share = self.accuracy()
        self.wall_s += time.perf_counter() - wall
        self.cpu_s += time.process_time() - cpu
        return share


def report(
    accuracy: float, examples: int, trained: tuple[int, str], versions: dict[str, str], looks: Looks | None = None
) -> None:
    """Print the last line, which `invoke bench` reads; `trained` is a count and what it counts."""
    spent = {"wall_s": looks.wall_s, "cpu_s": looks.cpu_s} if looks else {"wall_s": 0.0, "cpu_s": 0.0}
    said = {"accuracy": round(accuracy, 6), "examples": examples, "trained": trained, "versions": versions}
    print(json.dumps(said | {"looks": spent}), flush=True)


def _read(path: Path, header: int) -> np.ndarray:
    packed = path.with_name(path.name + ".gz")
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
    return np.frombuffer(content, np.uint8, offset=header)
