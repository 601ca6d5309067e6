"""Runs the real binaries in a project of a few small tasks and reads what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pipeline.settings import ROOT

BINARIES = Path(sys.executable).parent
KNOWN = "local, production, staging"

TASKS = '''
from pipeline import program
program.adopt()
import json, time
from invoke import task

@task
def stage(c, force=False):
    """Run a stage."""
    print(json.dumps({**c.config.pipeline, "dry": c.config.run.dry, "force": force}))

@task
def again(c):
    """Run another."""
    print("again")

@task(positional=["component"])
def about(c, component="", diff="", lines=1):
    """Show one."""
    print(json.dumps([component, diff, lines, c.config.pipeline["environment"]]))

@task(positional=["what"])
def needs(c, what):
    """Show a thing."""
    print(json.dumps(what))

@task
def sleep(c):
    """Wait."""
    print("waiting", flush=True)
    time.sleep(60)
'''


def environ(**more: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("INVOKE_")}
    return {**clean, "PYTHONPATH": str(ROOT), **more}


def run(folder: Path, *words: str, binary: str = "invoke", **env: str) -> subprocess.CompletedProcess[str]:
    argv = [str(BINARIES / binary), *words]
    return subprocess.run(argv, cwd=folder, env=environ(**env), capture_output=True, text=True, timeout=60, check=False)


def seen(folder: Path, *words: str, **more: str) -> dict[str, object]:
    """What the task `stage` found in its configuration."""
    done = run(folder, *words, **more)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(json.loads(done.stdout))


def refused(folder: Path, *words: str, **env: str) -> str:
    done = run(folder, *words, **env)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    return done.stderr.strip()
