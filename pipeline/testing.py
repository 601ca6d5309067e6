"""Runs the test suite with the caller's whole environment, as `pytest` itself would see it."""

from __future__ import annotations

import importlib.util
import os
import sys

from pipeline.errors import UNFIT, PipelineError
from pipeline.execution import say
from pipeline.processes import run, unwinding_on_sigterm
from pipeline.settings import ROOT

LIMIT = 1200.0
"""Seconds for the whole suite; measured at well under half of it on two cores."""


def run_tests(only: str, fast: bool) -> None:
    """Run pytest; raises PipelineError with its exit code when a test failed."""
    if importlib.util.find_spec("pytest") is None:
        raise PipelineError(
            "pytest is not installed: `./inv test` installs it, or pip install -r requirements-dev.txt", UNFIT
        )
    argv = [
        sys.executable,
        "-m",
        "pytest",
        *(["-k", only] if only else []),
        *(["-m", "not slow and not browser"] if fast else []),
    ]
    with unwinding_on_sigterm():
        finished = run(argv, dict(os.environ), ROOT, LIMIT, say)
    if finished.code:
        raise PipelineError(f"the tests did not pass (pytest ended with {finished.code})", finished.code)
