"""The one place that acts: performs a stage's steps, or only says which it would perform."""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.answering import Say, carry_out
from pipeline.commands import (
    Call,
    Command,
    Note,
    Pause,
    Probe,
    Remove,
    Result,
    Step,
    Steps,
    Together,
    Unchanged,
    Upload,
    Watch,
    Write,
)
from pipeline.errors import PipelineError
from pipeline.hands import Hands, Here

AT_ONCE = 6
"""Questions asked at once: a gcloud command is half a second of Python and then waits for the network."""


@dataclass(frozen=True)
class Outcome:
    """What a stage came to: its line for the summary, whether anything changed, and seconds of wall time."""

    text: str
    changed: bool
    seconds: float


def say(line: str) -> None:
    """Print a line at once: progress must be seen while it is made, through a pipe too."""
    print(line, flush=True)


def changes(step: Step) -> bool:
    """Whether a step changes something outside the build folder."""
    return isinstance(step, Call) or (isinstance(step, Command) and step.kind == "change")


def answers(steps: Steps, reply: Callable[[Step], Any]) -> None:
    """Send each step's answer back into the stage that asked; an error goes there too, and out if it stays uncaught."""
    try:
        step = next(steps)
        while True:
            try:
                answer = reply(step)
            except PipelineError as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration:
        return


Known = dict[Command, Any]
"""Answers of this run; a question is not asked twice while nothing has changed."""


def execute(
    steps: Steps, build: Path, show: Say = say, hands: Hands | None = None, known: Known | None = None
) -> Outcome:
    """Perform the steps in their order; the outcome says what the stage came to."""
    began, changed, words, results = time.monotonic(), False, list[str](), list[str]()
    hands, known = hands or Here(build), {} if known is None else known

    def reply(step: Step) -> Any:
        nonlocal changed
        if changes(step):
            changed = True
            known.clear()
        if isinstance(step, Unchanged):
            words.append(str(step))
            show(f"    {step}")
        elif isinstance(step, Result):
            results.append(step.text)
        return perform(step, show, hands, known)

    answers(steps, reply)
    text = "; ".join(results or words) or "done"
    if not changed and results and words:
        text = f"unchanged: {text}"
    return Outcome(text, changed, time.monotonic() - began)


def perform(step: Step, show: Say, hands: Hands, known: Known) -> Any:
    """Do one step; what it returns goes back into the stage."""
    match step:
        case Command(kind="ask") | Probe() | Together():
            return asked(step, hands, known)
        case Command():
            if not step.quiet:
                show(f"    {step.doing}")
            return carry_out(step, show, hands)
        case Write():
            return hands.write(step.path, step.text, step.private)
        case Upload():
            return hands.upload(step.path)
        case Remove():
            return hands.remove(step.path)
        case Watch():
            return step.wait()
        case Pause():
            return time.sleep(step.seconds)
        case Note():
            return show(f"      {step.text}")
        case Call():
            show(f"    {step.doing}")
            return step.act(lambda line: show(f"      {line}"))
    return None


def asked(step: Command | Probe | Together, hands: Hands, known: Known, made: Container[str] = ()) -> Any:
    """The answer to a question, or to several at once; `unasked` for one about what is yet to be made."""
    if isinstance(step, Together):
        return asked_together(step, hands, known, made)
    if any(thing in made for thing in step.needs):
        return step.unasked
    if isinstance(step, Probe):
        return step.ask()
    if step not in known or step.quiet:
        known[step] = carry_out(step, lambda line: None, hands)
    return known[step]


def asked_together(step: Together, hands: Hands, known: Known, made: Container[str]) -> list[Any]:
    """The answers of several questions, asked by a few threads; Ctrl-C ends those that are being asked."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        waiting = [threads.submit(asked, one, hands, known, made) for one in step.asks]
        try:
            return [one.result() for one in waiting]
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            for one in step.asks:
                if isinstance(one, Command):
                    hands.interrupt(one)
            raise


def unasked(step: Step) -> Any:
    """What stands for the answer where nothing is asked."""
    return [one.unasked for one in step.asks] if isinstance(step, Together) else getattr(step, "unasked", None)
