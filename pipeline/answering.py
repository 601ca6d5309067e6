"""Runs one command to its answer: tried again where that helps, with the tool's own words where it fails."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import tenacity

from pipeline import causes
from pipeline.commands import Command
from pipeline.errors import RunFailed
from pipeline.hands import Hands
from pipeline.processes import Finished

Say = Callable[[str], None]

TRIES = 5
"""How often a command that may be repeated is tried in all: about half a minute with the pauses between."""

PAUSE = 1.0
"""Seconds: the first pause's upper end; it doubles up to 20 s, and each pause is drawn from 0 up to it."""


def carry_out(command: Command, show: Say, hands: Hands) -> Any:
    """Run a command; raises RunFailed with the tool's own words, PipelineError (exit 3) where it is missing."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda finished: passes(command, finished)),
        stop=tenacity.stop_after_attempt(TRIES if command.retry or command.kind != "change" else 1),
        wait=tenacity.wait_random_exponential(multiplier=PAUSE, max=20),
        before_sleep=lambda state: show(f"      {retold(state)}"),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    on_line = None if command.kind == "ask" or command.quiet or command.secret else lambda line: show(f"      {line}")
    return answer_of(command, retrying(hands.run, command, on_line))


def passes(command: Command, finished: Finished) -> bool:
    """Whether a failure is of the kind that passes by itself."""
    if finished.timed_out or finished.code in command.codes or so_already(command, finished):
        return False
    cause = causes.of(finished.stderr or finished.stdout)
    return cause is not None and cause.passes


def so_already(command: Command, finished: Finished) -> bool:
    """Whether a failure says that there is no such thing, or that it is so already."""
    patterns = [pattern for pattern in (command.absent, command.done) if pattern]
    return finished.code != 0 and any(causes.found(pattern, finished.stderr) for pattern in patterns)


def retold(state: tenacity.RetryCallState) -> str:
    """The line between two tries: the tool's last words, and when the next try comes."""
    finished = state.outcome.result() if state.outcome else None
    last = (finished.stderr if finished else "").strip().splitlines()[-1:] or ["it failed"]
    pause = state.next_action.sleep if state.next_action else 0.0
    return f"{last[0][:160]}; try {state.attempt_number + 1} of {TRIES} in {pause:.0f} s"


def answer_of(command: Command, finished: Finished) -> Any:
    """What goes back into the stage for a command that has ended; raises RunFailed where it failed."""
    if finished.timed_out:
        raise RunFailed(f"{command.doing}: no end after {command.timeout:g} s, so it was stopped: {command}")
    if so_already(command, finished):
        return None if command.kind != "change" else ""
    if finished.code not in command.codes:
        raise RunFailed(failure(command, finished))
    answer = parsed(command, finished.stdout)
    return (finished.code, answer) if len(command.codes) > 1 else answer


def failure(command: Command, finished: Finished) -> str:
    """What it was doing, how it ended, the last of the tool's own words, a likely cause and what to do about it."""
    words = last_words(finished.stderr.strip() or finished.stdout.strip() or "it said nothing")
    cause = causes.of(finished.stderr or finished.stdout)
    lines = [f"{command.doing}: {command} ended with {finished.code}", *words]
    return "\n  ".join(lines + ([cause.told(finished.stderr or finished.stdout)] if cause else []))


def last_words(text: str) -> list[str]:
    """Three lines of what a tool said: from its error on where it marks one, else the last."""
    lines = text.splitlines()
    marked = [at for at, line in enumerate(lines) if re.match(r"(ERROR|[Ee]rror)\b", line)]
    return lines[marked[-1] :][:3] if marked else lines[-3:]


def parsed(command: Command, stdout: str) -> Any:
    """The command's stdout, as text or as the JSON it was asked for; a tool's notices stand on stderr."""
    if command.parse == "text":
        return stdout.strip()
    if command.parse != "json":
        return stdout
    if command.absent and not stdout.strip():  # kubectl's --ignore-not-found prints nothing
        return None
    try:
        return json.loads(stdout)
    except ValueError:
        head = stdout.strip()[:60] or "nothing"
        raise RunFailed(f"{command.doing}: {command} was to print JSON but printed: {head}") from None
