"""Environments for the peers: a venv each for what they need, made once in build/bench and kept."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.errors import RunFailed
from pipeline.files import write
from pipeline.processes import environment, run
from pipeline.settings import ROOT

LIMIT = 1800.0
"""Seconds that an installation may take."""


def python_of(
    name: str, requirements: Sequence[str], folder: Path, show: Callable[[str], None], constraints: Path
) -> str:
    """The interpreter of a venv with these requirements, all at the versions of a file; made where it is missing.

    Raises RunFailed with pip's own words where it cannot be made; nothing half made is left.
    """
    venv = folder / name
    stamp, wanted = venv / "installed", "\n".join(requirements)
    if not (stamp.exists() and stamp.read_text() == wanted):
        show(f"install {' '.join(requirements)} into {venv}, once")
        shutil.rmtree(venv, ignore_errors=True)
        try:
            install(venv, requirements, folder, constraints)
        except BaseException:
            shutil.rmtree(venv, ignore_errors=True)
            raise
        write(stamp, wanted)
    return str(venv / "bin" / "python")


def install(venv: Path, requirements: Sequence[str], folder: Path, constraints: Path) -> None:
    make = (sys.executable, "-m", "venv", "--without-pip", str(venv))  # our own pip serves it too
    pip = (sys.executable, "-m", "pip", "--python", str(venv), "--disable-pip-version-check", "install", "--quiet")
    for argv in (make, (*pip, "-c", str(constraints), *requirements)):
        chosen = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}  # where it looks
        finished = run(argv, environment(folder, chosen), ROOT, LIMIT)
        if finished.timed_out or finished.code:
            words = (finished.stderr or finished.stdout).strip().splitlines() or ["it said nothing"]
            why = "took too long" if finished.timed_out else words[-1].removeprefix("ERROR: ")
            raise RunFailed(f"could not install {' '.join(requirements)}: {why}")
