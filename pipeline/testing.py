"""Runs the test suite with the caller's whole environment, as `pytest` itself would see it."""

from __future__ import annotations

import importlib.util
import os
import sys

from pipeline.errors import FAILED, MISTAKE, UNFIT, PipelineError
from pipeline.execution import say
from pipeline.processes import run, unwinding_on_sigterm
from pipeline.settings import ROOT

LIMIT = 3600.0
"""Seconds for the whole suite, three times what it may take on two cores: there are slow ones."""

AT_ONCE = ("-n", str(min(4, 1 + (os.cpu_count() or 1))), "--dist=loadfile", "--no-loadscope-reorder")
"""One process more than there are cores, up to four: each waits for others a fifth of its time. A file's tests share
what they start.

The order is that of tests/conftest.py; else the files with the most tests would begin.
"""

QUICK = ("-m", "not slow and not browser")


def run_tests(only: str, fast: bool) -> None:
    """Run pytest; raises PipelineError with its exit code when a test failed."""
    if importlib.util.find_spec("xdist") is None:
        remedy = "`./inv test` installs it, or pip install -r requirements-dev.txt"
        raise PipelineError(f"pytest is not installed with all that it needs: {remedy}", UNFIT)
    chosen = (*(("-k", only) if only else ()), *(QUICK if fast else ()))
    with unwinding_on_sigterm():
        finished = run((sys.executable, "-m", "pytest", *AT_ONCE, *chosen), dict(os.environ), ROOT, LIMIT, say)
    if finished.timed_out:
        raise PipelineError(f"the tests were stopped after {LIMIT:g} s", 1)
    if finished.code:
        # pytest's own codes: 1 failures, 3 its own error; 4 usage, 5 no test, 2 also an expression that it cannot read
        code = FAILED if finished.code in (1, 3) else MISTAKE
        raise PipelineError(f"the tests did not pass (pytest ended with {finished.code})", code)
