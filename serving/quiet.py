"""Keeps off stderr what TensorFlow's libraries write while they are imported, whatever the log level."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what the block writes to file descriptor 2; it is shown after all when the block raises.

    The lines come from C++ before its logging is set up, so TF_CPP_MIN_LOG_LEVEL does not reach them.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile("w+") as held, os.fdopen(os.dup(2), "w") as kept:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            shutil.copyfileobj(held, kept)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept.fileno(), 2)
