"""Runs a TFJob of several replicas as `invoke train` does, and ends with it: one process tree, to be measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pipeline.clusters import jobs
from pipeline.clusters.objects import Objects
from pipeline.errors import RunFailed
from pipeline.processes import unwinding_on_sigterm


def main(manifest: str, folder: str) -> int:
    """Run the job in a file, with logs and volumes in `folder`; 1 where it fails, which is then told on stderr."""
    try:
        with unwinding_on_sigterm():
            jobs.run(json.loads(Path(manifest).read_text()), Path(folder), Objects(Path(folder) / "objects"), print)
    except RunFailed as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
