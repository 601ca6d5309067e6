"""`python -m serving`: read the flags, say what this is, serve."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence

# Before anything imports TensorFlow or gRPC: no C++ chatter, and no search for a GPU, which it would not use.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from serving.errors import StartError
from serving.flags import parse
from serving.server import serve

log = logging.getLogger("serving")


def main(argv: Sequence[str]) -> int:
    """Serve until told to stop; the exit code is 0, 1 when it cannot start, 2 for a mistake in the flags."""
    try:
        flags = parse(argv)
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        log.info("this is the embedded model server (python -m serving), not tensorflow_model_server")
        asyncio.run(serve(flags))
    except StartError as error:
        print(f"serving: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    # A signal during the first seconds, before the loop is there, ends the process as quietly as one later.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    sys.exit(main(sys.argv[1:]))
