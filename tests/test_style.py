"""The checks that need no run: ruff, mypy, shellcheck, yamllint, the pins, and what must not be in git."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CHECKS = {
    "ruff": ("ruff", "check", "."),
    "format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
    "shellcheck": ("shellcheck", "inv", ".ci/run"),
    "yamllint": ("yamllint", "--strict", "-d", "{extends: default, rules: {line-length: {max: 120}, document-start: "
                 "disable, comments: {min-spaces-from-content: 1}}}", "config"),
}  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
def test_the_code_passes(check: str) -> None:
    program, *arguments = CHECKS[check]
    done = subprocess.run([BIN / program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_requirement_is_pinned_to_the_version_that_the_constraints_name() -> None:
    constraints = set((ROOT / "constraints.txt").read_text().lower().replace("_", "-").splitlines())
    files = [*ROOT.glob("requirements*.txt"), *ROOT.glob("*/requirements.txt")]
    assert len(files) == 5
    for file in files:
        lines = [line.split("#")[0].strip().lower().replace("_", "-") for line in file.read_text().splitlines()]
        pins = [line for line in lines if line and not line.startswith("-")]
        assert pins
        # tensorflow-cpu is tensorflow without the GPU's libraries, released together with it.
        assert {pin.replace("tensorflow-cpu", "tensorflow") for pin in pins} <= constraints, file


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_git_holds_no_data_sets_no_keys_and_nothing_large() -> None:
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in names:
        path = ROOT / name
        assert not name.endswith((".gz", ".pem", ".key", "-ubyte", ".npz")), name
        assert not path.exists() or path.stat().st_size < 1_000_000, name


def test_every_file_that_is_to_begin_early_is_there() -> None:
    names = (ROOT / "tests" / "longest.txt").read_text().split()
    assert [name for name in names if not (ROOT / name).is_file()] == []
