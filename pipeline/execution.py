"""The one place that acts: performs a stage's steps, or only says which it would perform."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tenacity

from pipeline import causes
from pipeline.commands import (
    Call,
    Command,
    Diff,
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
from pipeline.errors import PipelineError, RunFailed
from pipeline.hands import Hands, Here
from pipeline.processes import Finished

Say = Callable[[str], None]

TRIES = 5
"""How often a command that may be repeated is tried in all: about half a minute with the pauses between."""

PAUSE = 1.0
"""Seconds: the first pause's upper end; it doubles up to 20 s, and each pause is drawn from 0 up to it."""

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


def rehearse(steps: Steps, show: Say = say) -> list[Step]:
    """`--dry`: say each step, ask nothing; every answer is the step's `unasked`.

    A question is said once while nothing changes, as it would be asked once.
    """
    seen, known = list[Step](), set[str]()

    def reply(step: Step) -> Any:
        seen.append(step)
        if changes(step):
            known.clear()
        heard = isinstance(step, Pause | Diff) or (isinstance(step, Note) and not step.always)
        for line in () if heard else str(step).splitlines():
            if line not in known:
                show(f"    {line.strip()}")
            known.update([line] if not changes(step) else [])
        return unasked(step)

    answers(steps, reply)
    return seen


def foresee(steps: Steps, hands: Hands, made: set[str], show: Say = say, known: Known | None = None) -> list[Step]:
    """`plan`: ask what can be asked now, show what would run and what not, and return what would change.

    `made` names what earlier changes of this plan will have made: questions that need it are not asked yet.
    """
    foreseen, known = list[Step](), {} if known is None else known

    def reply(step: Step) -> Any:
        answer = unasked(step)
        match step:
            case Command(kind="ask") | Probe() | Together(kind="ask"):
                answer = asked(step, hands, known, made)
            case Write():
                hands.write(step.path, step.text, step.private)  # in our own folder: what `kubectl diff` compares
            case Upload():
                hands.upload(step.path)
            case Unchanged():
                show(f"  skip  {step.why}")
            case Note() if step.always:
                show(f"        {step.text}")
            case Diff():
                for line in step.text.splitlines():
                    show(f"        {line}")
        if changes(step):
            foreseen.append(step)
            made.add(getattr(step, "makes", ""))
            show(f"  run   {getattr(step, 'doing', step)}")
        return answer

    answers(steps, reply)
    return foreseen


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
    words = (finished.stderr.strip() or finished.stdout.strip() or "it said nothing").splitlines()[-3:]
    cause = causes.of(finished.stderr or finished.stdout)
    lines = [f"{command.doing}: {command} ended with {finished.code}", *words]
    return "\n  ".join(lines + ([cause.told(finished.stderr or finished.stdout)] if cause else []))


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
