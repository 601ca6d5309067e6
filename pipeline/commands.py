"""Steps as values: what a stage yields and `execution` performs; comparing two lists of them is a test."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Command:
    """A program to run to its end, as an argv list; what it printed goes back into the stage.

    An `ask` changes nothing, so `plan` runs it too; a `wait` changes nothing and takes time, so `plan` leaves it out.
    """

    argv: tuple[str, ...]
    doing: str
    timeout: float = 600.0
    """Seconds after which the whole process group is ended."""
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    cwd: Path | None = None
    parse: Literal["json", "text"] | None = None
    """`json`: the answer is the parsed stdout; `text`: stdout without the white space around it."""
    kind: Literal["change", "ask", "wait"] = "change"
    unasked: Any = field(default=None, hash=False)
    """The answer where it is not run: in `--dry`, and in `plan` when what it asks about is yet to be made."""
    absent: str = ""
    """Pattern in stderr that means "there is no such thing": the answer is None, not a failure."""
    done: str = ""
    """Pattern in stderr that means "it is so already": a success."""
    codes: tuple[int, ...] = (0,)
    """Exit codes that are answers; where there are several, the answer is a pair of code and stdout."""
    retry: bool = False
    """Safe to repeat: tried again, with pauses, after an error that passes by itself."""
    makes: str = ""
    """What is there only after this change: in `plan`, questions that need it are answered with `unasked`."""
    needs: tuple[str, ...] = ()
    quiet: bool = False
    """Asked again and again: not shown each time."""
    secret: str = ""
    """What its stdout holds, where that must not be shown."""

    def __str__(self) -> str:
        return shlex.join(self.argv)


@dataclass(frozen=True)
class Write:
    """A file with this text; written under a temporary name and renamed, and only if it differs."""

    path: Path
    text: str
    private: bool = False
    """Readable by its owner only."""

    def __str__(self) -> str:
        return f"write {self.path}"


@dataclass(frozen=True)
class Probe:
    """A question that changes nothing: `plan` asks it too; `--dry` answers with `unasked` instead."""

    doing: str
    ask: Callable[[], Any]
    unasked: Any = None
    needs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"look: {self.doing}"


@dataclass(frozen=True)
class Together:
    """Questions that do not wait for one another; the answer is the list of theirs."""

    asks: tuple[Command | Probe, ...]
    kind: Literal["ask", "wait"] = "ask"
    """`wait`: what is asked after the changes before it, so `plan` leaves it out."""

    def __str__(self) -> str:
        return "\n".join(map(str, self.asks))


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
    unasked: Any = None
    makes: str = ""

    def __str__(self) -> str:
        return self.doing


@dataclass(frozen=True)
class Upload:
    """A folder or file that the following commands read; nothing to do where they run on this machine."""

    path: Path

    def __str__(self) -> str:
        return f"upload {self.path}"


@dataclass(frozen=True)
class Remove:
    """A file of ours that is to be gone, such as a key that has been handed over."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path}"


@dataclass(frozen=True)
class Pause:
    """Seconds to let pass before asking again."""

    seconds: float

    def __str__(self) -> str:
        return f"pause {self.seconds:g} s"


@dataclass(frozen=True)
class Note:
    """A line for whoever watches; `plan` shows it too, where `always`."""

    text: str
    always: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Diff:
    """How an object in a cluster differs from its manifest; only `plan` shows it."""

    text: str

    def __str__(self) -> str:
        return ""


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


Step = Command | Write | Upload | Remove | Probe | Together | Watch | Call | Pause | Note | Diff | Unchanged | Result
Steps = Generator[Step, Any, None]
"""A stage: it yields steps, and gets back what a Command printed, a Probe answered or a Call returned."""


def each(*steps: Step) -> Steps:
    """These steps, one after the other; a plain tuple could not be sent their answers."""
    for step in steps:  # noqa: UP028
        yield step


Asking = Generator[Step, Any, Any]
"""A part of a stage that comes to an answer: `answer = yield from part(…)`."""
