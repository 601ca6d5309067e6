"""Steps as values: what a stage yields and `execution` performs; comparing two lists of them is a test."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Command:
    """A program to run to its end, as an argv list; `parse="json"` sends its parsed stdout back."""

    argv: tuple[str, ...]
    doing: str
    timeout: float = 600.0
    """Seconds after which the whole process group is ended."""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    parse: str | None = None

    def __str__(self) -> str:
        return shlex.join(self.argv)


@dataclass(frozen=True)
class Write:
    """A file with this text; written under a temporary name and renamed, and only if it differs."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"write {self.path}"


@dataclass(frozen=True)
class Probe:
    """A question that changes nothing: `plan` asks it too; `--dry` answers with `unasked` instead."""

    doing: str
    ask: Callable[[], Any]
    unasked: Any = None

    def __str__(self) -> str:
        return f"look: {self.doing}"


@dataclass(frozen=True)
class Watch:
    """Something to wait for that changes nothing: neither `plan` nor `--dry` waits."""

    doing: str
    wait: Callable[[], Any]

    def __str__(self) -> str:
        return f"wait: {self.doing}"


@dataclass(frozen=True)
class Call:
    """A change made by Python; `act` gets a function that shows a line of progress."""

    doing: str
    act: Callable[[Callable[[str], None]], Any]

    def __str__(self) -> str:
        return self.doing


@dataclass(frozen=True)
class Unchanged:
    """A word instead of a change: what is already as it should be, and by which evidence."""

    why: str

    def __str__(self) -> str:
        return f"unchanged: {self.why}"


@dataclass(frozen=True)
class Result:
    """What the stage came to, in one line for the summary."""

    text: str

    def __str__(self) -> str:
        return f"result: {self.text}"


Step = Command | Write | Probe | Watch | Call | Unchanged | Result
Steps = Generator[Step, Any, None]
"""A stage: it yields steps, and gets back what a Command printed, a Probe answered or a Call returned."""
