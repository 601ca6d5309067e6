"""The page docs/benchmarks.md: each benchmark owns what stands between its two markers and writes that anew."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from pipeline.errors import PipelineError
from pipeline.files import write
from pipeline.settings import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def markers(name: str) -> tuple[str, str]:
    """The lines around a benchmark's part of the page."""
    return f"<!-- `invoke bench {name}` writes what follows -->", f"<!-- end of `invoke bench {name}` -->"


def block(page: str, name: str) -> str:
    """What stands between a benchmark's markers; raises PipelineError where one is missing."""
    begin, end = markers(name)
    _, found, rest = page.partition(begin + "\n")
    inside, closed, _ = rest.partition(end)
    if not (found and closed):
        raise PipelineError(f'{PAGE.relative_to(ROOT)} lacks the lines "{begin}" and "{end}": put them back')
    return inside


def put(name: str, text: str, page: Path = PAGE) -> None:
    """Write a benchmark's part of the page."""
    before = page.read_text()
    begin, end = markers(name)
    write(page, before.replace(begin + "\n" + block(before, name) + end, f"{begin}\n\n{text.strip()}\n\n{end}"))


def measured_on(rounds: int, elsewhere: float, load: tuple[float, float]) -> str:
    """When and on what this was measured, and what else ran there: a sentence or three."""
    memory = psutil.virtual_memory().total / 1e9
    machine = f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.release()}"
    return (
        f"Measured on {time.strftime('%Y-%m-%d')}, rounds: {rounds}. Machine: {machine}. "
        f"Load average {load[0]:.1f} at the start and {load[1]:.1f} at the end; other programs had up to "
        f"{elsewhere:.0%} of the processors during a run."
    )


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        lines = []  # macOS
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def versions(found: Mapping[str, str]) -> str:
    return "Versions: " + ", ".join(f"{name} {version}" for name, version in sorted(found.items())) + "."
