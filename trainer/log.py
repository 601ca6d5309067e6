"""What a run says: plain lines on standard output, each flushed at once."""

from __future__ import annotations

import os
import sys


def say(line: str) -> None:
    """Print one line now; where it cannot go (a full disk, a closed pipe) the run goes on without a log."""
    try:
        print(line, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # else Python fails again when it flushes at its end
        os.close(nowhere)
