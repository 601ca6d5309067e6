"""Saving and publishing, killed before every single line: what is visible is whole, and the next try completes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT

DRIVER = """
import json, os, shutil, signal, sys
from pathlib import Path
import numpy as np
from trainer import checkpoint, export, files
from trainer.checkpoint import Checkpoint

OURS = str(Path(files.__file__).parent)

def fill(folder, tag, parent):
    (folder / "variables").mkdir(exist_ok=True)
    (folder / "variables" / "variables.data").write_bytes(b"weights" * 1000)
    (folder / "saved_model.pb").write_bytes(b"graph")

def save(folder, step):
    checkpoint.save(folder, Checkpoint(step, [np.full(200, step)], {}), keep=2)

def saving(folder, first):
    for step in (100, 200) if first else (300,):
        save(folder, step)

def publishing(folder, first):
    for tag in (5, 6) if first else (7,):
        if not export.is_published(folder, tag):
            export.publish(folder, tag, fill)

def seen_of_saving(folder):
    found = [name for name in files.names_in(folder) if ".partial-" not in name]
    sound = [name for name in found if files.digest(Path(folder, name))[:16] == name[20:36]]
    return {"visible": found, "whole": sound, "newest": checkpoint.newest(folder).step}

def seen_of_publishing(folder):
    found = [str(tag) for tag in export.versions(folder)]
    return {"visible": found, "whole": [tag for tag in found if export.is_whole(files.join(folder, tag))]}

def killed_before(line, work):
    pid = os.fork()
    if pid == 0:
        left = line
        def trace(frame, event, arg):
            nonlocal left
            if not frame.f_code.co_filename.startswith(OURS) and frame.f_code is not fill.__code__:
                return None
            left -= event == "line"
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return trace
        sys.settrace(trace)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL

does, seen = {"save": (saving, seen_of_saving), "publish": (publishing, seen_of_publishing)}[sys.argv[2]]
base = Path(sys.argv[1])
does(str(base / "first"), True)
for line in range(1, 10_000):
    folder = str(base / str(line))
    shutil.copytree(base / "first", folder)
    dead = killed_before(line, lambda: does(folder, False))
    after = seen(folder)
    does(folder, False)
    print(json.dumps({"dead": dead, **after, "at last": sorted(files.names_in(folder)), "then": seen(folder)}))
    shutil.rmtree(folder)
    if not dead:
        break
"""


def killed(folder: Path, what: str) -> list[dict[str, Any]]:
    """What was seen after each death, and after the next try; the last one was not killed any more."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(folder), what], cwd=ROOT, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return killed(tmp_path_factory.mktemp("saved"), "save")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return killed(tmp_path_factory.mktemp("published"), "publish")


def test_fault_28_every_line_of_saving_and_of_publishing_was_the_last_one_once(
    saved: list[dict[str, Any]], published: list[dict[str, Any]]
) -> None:
    for runs in (saved, published):
        assert [run["dead"] for run in runs] == [True] * (len(runs) - 1) + [False]
    assert len(saved) > 30
    assert len(published) > 60


def test_fault_28_what_has_a_checkpoints_name_is_whole_at_every_moment(saved: list[dict[str, Any]]) -> None:
    assert all(run["visible"] == run["whole"] for run in saved)


def test_fault_28_the_newest_is_the_last_one_or_the_one_before_at_every_moment(saved: list[dict[str, Any]]) -> None:
    newest = [run["newest"] for run in saved]
    assert newest == sorted(newest)
    assert set(newest) == {200, 300}


def test_fault_28_after_any_death_saving_again_completes_and_clears_up(saved: list[dict[str, Any]]) -> None:
    assert {tuple(name[11:19] for name in run["at last"]) for run in saved} == {("00000200", "00000300")}


def test_fault_34_what_has_a_versions_name_is_whole_at_every_moment(published: list[dict[str, Any]]) -> None:
    assert all(run["visible"] == run["whole"] for run in published)
    assert {tuple(run["visible"]) for run in published} == {("5", "6"), ("5", "6", "7")}


def test_fault_34_after_any_death_publishing_again_completes_and_clears_up(published: list[dict[str, Any]]) -> None:
    assert {tuple(run["at last"]) for run in published} == {("5", "6", "7")}
    assert all(run["then"] == {"visible": ["5", "6", "7"], "whole": ["5", "6", "7"]} for run in published)
