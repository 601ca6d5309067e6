"""Notebook: Jupyter with the trainer at hand; on this machine in the checkout, on a cluster behind a port-forward."""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
from functools import partial
from pathlib import Path

from pipeline.answering import Say
from pipeline.commands import Call, Command, Probe, Steps, Unchanged
from pipeline.errors import UNFIT, PipelineError
from pipeline.files import write
from pipeline.settings import ROOT, Settings
from pipeline.stages import build, page_up

REQUIREMENTS = ROOT / "notebooks" / "requirements.txt"


def up(settings: Settings) -> Steps:
    if settings.cluster.kind == "local":
        yield from here(settings)
    else:
        yield from build.pushed(settings, ("train", "notebook"))
    yield from page_up(settings, "notebook")


def here(settings: Settings) -> Steps:
    """What Jupyter needs on this machine: itself, installed at its first use, and a key for its page."""
    if (yield Probe("whether Jupyter is installed", installed, True)):
        yield Unchanged("Jupyter is installed")
    else:
        yield install()
    if not (yield Probe("whether the notebook has a key", settings.notebook_key.exists, False)):
        yield Call("make a key for the notebook's page", partial(make_key, settings))


def installed() -> bool:
    """Whether Jupyter is there; PipelineError (exit 3) where it is not, and this Python is not the checkout's own."""
    if importlib.util.find_spec("jupyterlab"):
        return True
    if Path(sys.prefix) != ROOT / ".venv":
        remedy = f"`{sys.executable} -m pip install -r {REQUIREMENTS} -c {ROOT / 'constraints.txt'}`"
        raise PipelineError(f"Jupyter is not installed here: {remedy}, or `./inv notebook`, which installs it", UNFIT)
    return False


def install() -> Command:
    """Installs Jupyter into the checkout's own .venv, pinned; pip hears its own variables."""
    argv = (
        sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off",
        f"--constraint={ROOT / 'constraints.txt'}", f"--requirement={REQUIREMENTS}",
    )  # fmt: skip
    variables = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    return Command(argv, "install Jupyter into .venv, once: 200 MB", env=variables, timeout=1800, retry=True, cwd=ROOT)


def make_key(settings: Settings, show: Say) -> None:
    """Others on this machine reach 127.0.0.1 too: only who can read this file may enter."""
    write(settings.notebook_key, secrets.token_hex(24), private=True)
