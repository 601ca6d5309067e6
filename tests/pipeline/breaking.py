"""Breaks a copy of config/ in one place and says how loading it was refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import config, program
from pipeline.errors import PipelineError


def edit(path: Path, old: str, new: str) -> int:
    """Replace text in a file; the line on which it stood."""
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} is not once in {path.name}"
    path.write_text(text.replace(old, new))
    return text.count("\n", 0, text.index(old)) + 1


def append(path: Path, text: str) -> int:
    """Add lines to a file; the line of the first."""
    before = path.read_text()
    path.write_text(before + text)
    return before.count("\n") + 1


def refusal(environment: str, folder: Path | None = None, *changes: str) -> str:
    with pytest.raises(PipelineError) as caught:
        config.load(environment, changes, folder or program.CONFIG)
    assert caught.value.code == 2
    assert caught.value.message.count("\n") < 3
    return str(caught.value.message)
