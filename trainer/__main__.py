"""`python -m trainer`: read the flags, run, and turn each foreseen end into a sentence and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from trainer.errors import TrainerError
from trainer.log import choose_format, complain
from trainer.options import parse
from trainer.signals import Interrupted, Signals


def main(argv: Sequence[str]) -> int:
    """Run the trainer; gives the exit code (docs/containers.md)."""
    try:
        signals = Signals()
        choose_format(os.environ)
        options = parse(argv, os.environ)
        from trainer.run import execute  # numpy and all that follows: not needed for --help

        execute(options, os.environ, signals)
    except TrainerError as error:
        complain(str(error))
        return error.code
    except Interrupted as stop:
        message = str(stop) or "nothing was lost; the same command goes on."
        complain(f"{stop.name}: {message}", "WARNING")
        return stop.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
