"""Loading TensorFlow without the lines that its C++ parts print before anyone can ask them not to."""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

NOISE = (
    b"absl::InitializeLog",
    b"oneDNN custom operations",
    b"cuda",
    b"cpu_feature_guard",
    b"To enable the following",
    b"XNNPACK delegate",
)


def use_one_thread() -> None:
    """Have each operation done by one thread; call before TensorFlow is loaded.

    For small models: sharing their operations out costs 1.5 times the processor time and gains nothing
    (measured: fast, batch 64, 2 cores).
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")


def load_tensorflow(start: bool = True) -> None:
    """Import TensorFlow and Keras, for the processor alone and without noise; variables already set stay.

    Without `start` it does not take hold of its devices yet: before that it must be told of a cluster.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if start else "3")
    if not start:  # in a cluster it fills pages when a member ends; the trainer says that in a sentence
        logging.getLogger("tensorflow").setLevel(logging.CRITICAL)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its threads note down every signal that wakes them
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with sifted_stderr(), _without("sklearn"), _uncollected():
        import keras  # noqa: F401  # imports tensorflow
        import tensorflow as tf

        if start:  # where others log, as in Jupyter, it would tell of assets twice
            tf.get_logger().setLevel("WARNING")
        look = tf.config.list_logical_devices if start else tf.config.list_physical_devices
        look()  # looks for processors now, while its noise is held back


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Hide a module that Keras would import only to wrap it (0.5 CPU-s), unless it is there already."""
    hide = module not in sys.modules
    if hide:
        sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hide:
            del sys.modules[module]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector out of an import, where 700 goes would find nothing (0.45 of 2.5 CPU-s).

    What is there at the end stays for good, so later collections need not look at it again.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def _scratch() -> BinaryIO:
    """Memory where the system can give it as a file, so that a full /tmp does not matter."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()


@contextmanager
def sifted_stderr() -> Iterator[None]:
    """Hold back what goes to file descriptor 2, then pass on all lines but the known noise."""
    sys.stderr.flush()
    original = os.dup(2)
    with _scratch() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            for line in held:
                if not any(part in line for part in NOISE):
                    os.write(2, line)
