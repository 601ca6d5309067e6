"""Keeps off stderr what TensorFlow's libraries write about themselves, whatever the log level."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# They come from C++, before its logging is set up or past it: TF_CPP_MIN_LOG_LEVEL does not reach them.
_NOISE = (
    b"absl::InitializeLog",
    b"oneDNN custom operations",
    b"cuda",
    b"cpu_feature_guard",
    b"To enable the following",
    b"XNNPACK delegate",
)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what is written to file descriptor 2 meanwhile, by whatever thread, and pass on all but the noise."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            for line in held:
                if not any(part in line for part in _NOISE):
                    os.write(2, line)
