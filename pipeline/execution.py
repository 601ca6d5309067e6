"""The one place that acts: performs a stage's steps, or only says which it would perform."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.commands import Call, Command, Probe, Result, Step, Steps, Unchanged, Watch, Write
from pipeline.errors import UNFIT, PipelineError, RunFailed
from pipeline.processes import Finished, environment, run

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a stage came to: its line for the summary, whether anything changed, and seconds of wall time."""

    text: str
    changed: bool
    seconds: float


def say(line: str) -> None:
    """Print a line at once: progress must be seen while it is made, through a pipe too."""
    print(line, flush=True)


def execute(steps: Steps, build: Path, show: Say = say, doing: str = "") -> Outcome:
    """Perform the steps in their order, sending each answer back into the stage that asked."""
    began, changed, words, results = time.monotonic(), False, list[str](), list[str]()
    answer: Any = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration:
            break
        changed = changed or isinstance(step, Command | Call)
        match step:
            case Unchanged():
                words.append(str(step))
                show(f"    {step}")
            case Result():
                results.append(step.text)
        answer = perform(step, build, show)
    text = "; ".join(results or words) or "done"
    if not changed and results and words:
        text = f"unchanged: {text}"
    return Outcome(text, changed, time.monotonic() - began)


def perform(step: Step, build: Path, show: Say) -> Any:
    """Do one step; what it returns goes back into the stage."""
    match step:
        case Command():
            show(f"    {step.doing}")
            return carry_out(step, build, show)
        case Write():
            return write(step.path, step.text)
        case Probe():
            return step.ask()
        case Watch():
            return step.wait()
        case Call():
            show(f"    {step.doing}")
            return step.act(lambda line: show(f"      {line}"))
    return None


def rehearse(steps: Steps, show: Say = say, ask: bool = False) -> list[str]:
    """Say each step without performing it; with `ask`, probes are asked (`plan`), else assumed (`--dry`)."""
    lines, answer = list[str](), None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration:
            return lines
        answer = None
        if isinstance(step, Probe):
            answer = step.ask() if ask else step.unasked
        lines.append(str(step))
        show(f"    {step}")


def carry_out(command: Command, build: Path, show: Say) -> Any:
    """Run a command; raises RunFailed with the tool's own words, PipelineError (exit 3) where it is missing."""
    try:
        seen = environment(build, command.env)
        finished = run(command.argv, seen, command.cwd, command.timeout, lambda line: show(f"      {line}"))
    except FileNotFoundError:
        raise PipelineError(f"{command.argv[0]} is not on this machine's PATH: install it", UNFIT) from None
    if finished.timed_out:
        raise RunFailed(f"{command.doing}: no end after {command.timeout:g} s, so it was stopped: {command}")
    if finished.code:
        raise RunFailed(failure(command, finished))
    return parsed(command, finished.stdout)


def failure(command: Command, finished: Finished) -> str:
    """What it was doing, how it ended and the last of the tool's own words."""
    words = (finished.stderr.strip() or finished.stdout.strip() or "it said nothing").splitlines()[-3:]
    return f"{command.doing}: {command} ended with {finished.code}\n  " + "\n  ".join(words)


def parsed(command: Command, stdout: str) -> Any:
    """The command's stdout, as text or as the JSON it was asked for; a tool's notices stand on stderr."""
    if command.parse != "json":
        return stdout
    try:
        return json.loads(stdout)
    except ValueError:
        head = stdout.strip()[:60] or "nothing"
        raise RunFailed(f"{command.doing}: {command} was to print JSON but printed: {head}") from None


def write(path: Path, text: str) -> bool:
    """Put the text there whole or not at all; whether the file was different before."""
    with suppress(OSError, UnicodeDecodeError):
        if path.read_text() == text:
            return False
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise RunFailed(f"could not write {path}: {error.strerror}; nothing was changed") from None
    return True
