"""The notebook's stage: Jupyter comes with its first use into the checkout's own .venv, on a cluster with its image."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from pipeline import images
from pipeline.clusters import addresses
from pipeline.commands import Command
from pipeline.config import load
from pipeline.errors import UNFIT, PipelineError
from pipeline.foresight import rehearse
from pipeline.settings import ROOT
from pipeline.stages import notebook

LOCAL = load("local").settings


@pytest.fixture
def without_jupyter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_jupyter_is_installed_at_its_first_use_pinned_and_with_pips_own_variables(
    without_jupyter: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.example")
    steps = notebook.here(LOCAL)
    assert next(steps).doing == "whether Jupyter is installed"
    command = steps.send(notebook.installed())
    assert isinstance(command, Command)
    assert command.argv[:4] == (sys.executable, "-m", "pip", "install")
    assert {f"--constraint={ROOT}/constraints.txt", f"--requirement={ROOT}/notebooks/requirements.txt"} <= {
        *command.argv
    }
    assert command.env["PIP_INDEX_URL"] == "https://pypi.example"


def test_nothing_is_installed_into_a_python_that_is_not_the_checkouts(
    without_jupyter: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", "/usr")
    with pytest.raises(PipelineError, match=r"Jupyter is not installed here: `.* -m pip install -r .*`") as caught:
        notebook.installed()
    assert caught.value.code == UNFIT


def test_the_key_is_only_its_owners_and_another_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(LOCAL), "build", tmp_path)
    keys = set()
    for _ in range(2):
        notebook.make_key(LOCAL, print)
        assert LOCAL.notebook_key.stat().st_mode & 0o777 == 0o600
        keys.add(LOCAL.notebook_key.read_text())
    assert len(keys) == 2
    assert all(len(one) == 48 for one in keys)


def test_on_a_cluster_both_images_are_built_the_notebooks_from_the_trainers() -> None:
    staging = load("staging", ["gcp.project=demo-project-1"]).settings
    assert images.build_args(staging, "notebook") == {"TRAINER": images.reference(staging, "train")}
    said: list[str] = []
    rehearse(notebook.up(staging), said.append)
    built = [line.rpartition("/")[2] for line in said if "docker build" in line]
    assert built == ["trainer", "notebooks"]


def test_a_changed_trainer_is_a_changed_notebook_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("trainer", "notebooks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "Dockerfile").write_text("FROM scratch\n")
    monkeypatch.setattr(images, "ROOT", tmp_path)
    before = images.tag(LOCAL, "notebook")
    (tmp_path / "trainer" / "train.py").write_text("1\n")
    assert images.tag(LOCAL, "notebook") != before


@pytest.mark.parametrize(("text", "ready"), [("pass", True), ("raise SystemExit(1)", False)])
def test_a_readiness_probe_may_be_a_command(text: str, ready: bool) -> None:
    container = {"image": "x:1", "readinessProbe": {"exec": {"command": ["python", "-c", text]}}}
    asks, _ = addresses.probe(LOCAL, {"spec": {"template": {"spec": {"containers": [container]}}}})
    assert asks() is ready
