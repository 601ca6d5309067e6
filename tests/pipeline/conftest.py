"""What several tests of the pipeline share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from tests.pipeline.running import TASKS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of config/ to break."""
    return Path(shutil.copytree(ROOT / "config", tmp_path / "config"))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tasks.py that adopts the running program, and a subfolder."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "tasks.py").write_text(TASKS)
    (folder / "fabfile.py").write_text(TASKS)
    (folder / "deep" / "er").mkdir(parents=True)
    return folder
