"""What a run says: plain lines on standard output, each flushed at once."""

from __future__ import annotations


def say(line: str) -> None:
    """Print one line now, also when standard output is a file or a pipe."""
    print(line, flush=True)
