"""What a whole process tree costs: wall time, processor time, memory at its highest.

Run as a program it starts another one and writes down what that took: the kernel adds up, for a process that has
waited for its children, the processor time of them all and of theirs.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.errors import RunFailed
from pipeline.processes import run
from pipeline.settings import ROOT

LIMIT = 3600.0
"""Seconds that one run may take."""

EVERY = 0.1
"""Seconds between two looks at the memory; a look takes a fifth of a millisecond."""

MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes that ru_maxrss counts in."""


@dataclass(frozen=True)
class Usage:
    """What a run took: seconds of wall time, seconds of processor time (user and system), peak memory in MB.

    `elsewhere` is the share of this machine's processors (0 to 1) that other programs had meanwhile.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    elsewhere: float


@dataclass(frozen=True)
class Measured:
    """A run that ended well: what it printed, and what it took."""

    stdout: str
    usage: Usage


def measure(
    argv: Sequence[str], env: Mapping[str, str], scratch: Path, cwd: Path, show: Callable[[str], None] | None = None
) -> Measured:
    """Run a command in `cwd` and measure it; raises RunFailed with its last words where it fails.

    The figures pass through a file in `scratch`.
    """
    note = scratch / "usage.json"
    wrapped = (sys.executable, "-m", "pipeline.bench.meter", str(note), str(cwd), *argv)
    finished = run(wrapped, env, ROOT, LIMIT, show)
    if finished.timed_out:
        raise RunFailed(f"no end after {LIMIT:g} s, so it was stopped: {argv[0]} … {argv[-1]}")
    if finished.code:
        words = "\n  ".join((finished.stderr or finished.stdout).strip().splitlines()[-3:]) or "it said nothing"
        raise RunFailed(f"ended with {finished.code}: {' '.join(argv[:3])} …\n  {words}")
    return Measured(finished.stdout, Usage(**json.loads(note.read_text())))


def memory(process: psutil.Process) -> int:
    """Bytes that a process and all below it hold now."""
    total = 0
    with contextlib.suppress(psutil.Error):
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += one.memory_info().rss
    return total


def busy() -> float:
    """Seconds that this machine's processors have worked since it was started, all of them together."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def main(note: str, cwd: str, *argv: str) -> int:
    """Run `argv` to its end and write its usage to `note`; gives its exit code."""
    before, began, peak = busy(), time.perf_counter(), 0
    child = subprocess.Popen(argv, cwd=cwd)
    watched = psutil.Process(child.pid)
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(EVERY)
            break
        peak = max(peak, memory(watched))
    wall = time.perf_counter() - began
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, largest = spent.ru_utime + spent.ru_stime, spent.ru_maxrss * MAXRSS_UNIT
    others = (busy() - before - cpu) / (wall * (os.cpu_count() or 1))
    others = min(1.0, max(0.0, others))  # the kernel counts in ticks: a full machine reads as a little more than full
    usage = {"wall_s": wall, "cpu_s": cpu, "peak_mb": max(peak, largest) / 1e6, "elsewhere": others}
    Path(note).write_text(json.dumps(usage))
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
