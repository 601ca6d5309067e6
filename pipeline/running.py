"""Runs stages for a task: one at a time in an environment, with a summary and, after a failure, how to go on."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit

from pipeline import clusters, costs, hands, lock, program, stages
from pipeline.commands import Step
from pipeline.config import settings_of
from pipeline.errors import FAILED, INTERRUPTED, MISTAKE, PipelineError, Refusal
from pipeline.execution import Known, Outcome, execute, say
from pipeline.foresight import foresee, rehearse
from pipeline.processes import unwinding_on_sigterm
from pipeline.settings import Settings
from pipeline.toolbox import preconditions
from pipeline.trainerlog import Screen


@contextlib.contextmanager
def alone(settings: Settings, task: str) -> Iterator[None]:
    """Hold the environment; first end what a killed run left in it."""
    with unwinding_on_sigterm(), lock.hold(settings.build, task):
        left = clusters.of(settings).recover(settings)
        if left:
            say(f"ended {left} process{'es' if left > 1 else ''} that an earlier run had left behind")
        yield


def up(c: Context, *names: str, **options: Any) -> None:
    """Bring stages up in their order; a failure names the stage and the command to go on with."""
    settings = settings_of(c)
    if c.config.run.dry:
        for name in names:
            say(f"==> {name}")
            rehearse(stages.stage(name).up(settings, **options))
        return
    with alone(settings, " ".join(names)), hands.of(settings) as on:
        outcomes, known, screen = dict[str, Outcome](), Known(), Screen()
        execute(preconditions(settings, *names), settings.build, hands=on)
        for number, name in enumerate(names):
            say(f"==> {name}")
            try:
                outcomes[name] = execute(
                    stages.stage(name).up(settings, **options), settings.build, screen.show, on, known
                )
            except PipelineError as error:
                then = "" if isinstance(error, Refusal) else f"\n  {way_on(c, names[number:], options)}"
                raise type_of(error, f"{name}: {error.message}{then}") from None
            except KeyboardInterrupt:
                left = "" if settings.cluster.kind == "local" else "; what runs on the cluster goes on"
                words = f"Interrupted{left}.\n  {way_on(c, names[number:], options)}"
                raise PipelineError(words, INTERRUPTED) from None
        summarise(c, outcomes)


def plan(c: Context, *names: str) -> None:
    """Say what `up` would do and why, and change nothing; exit 2 if something would change."""
    settings, foreseen = settings_of(c), list[Step]()
    if c.config.run.dry:
        up(c, *names)
        return
    with alone(settings, "plan"), hands.of(settings) as on:
        made, known = set[str](), Known()
        execute(preconditions(settings), settings.build, hands=on)
        for name in names:
            say(f"==> {name}")
            foreseen += foresee(stages.stage(name).up(settings), on, made, say, known)
    say("")
    for line in costs.lines(settings):
        say(line)
    if not foreseen:
        say("plan: nothing would change")
        return
    many = "1 change" if len(foreseen) == 1 else f"{len(foreseen)} changes"
    say(f"plan: {many}; `{command(c, *names)}` makes them")
    raise Exit(code=MISTAKE)


def way_on(c: Context, names: tuple[str, ...], options: dict[str, Any]) -> str:
    return f"go on with: {command(c, *names, *given(options))}"


def given(options: dict[str, Any]) -> list[str]:
    """A task's own options as they were typed, but for --force: going on is not starting over."""
    texts = [f"--{name}={value}" for name, value in options.items() if isinstance(value, str)]
    flags = [name.replace("_", "-") for name, value in options.items() if value is True and name != "force"]
    return texts + [f"--{name}" for name in flags]


def type_of(error: PipelineError, message: str) -> PipelineError:
    """The same error with more to say."""
    error.message = message
    error.args = (message,)
    return error


def command(c: Context, *names: str) -> str:
    """The command line for these tasks in this environment; for stages, with the settings that were changed."""
    chosen = c.config.pipeline
    plain = chosen["environment"] == program.DEFAULT_ENVIRONMENT and "INVOKE_ENV" not in os.environ
    words = [os.environ.get("PIPELINE_COMMAND", "invoke"), *([] if plain else [f"--env={chosen['environment']}"])]
    if names == stages.STAGES:
        names = ("all",)
    if {*names} & {*stages.STAGES, *stages.OPTIONAL, "promote", "rollback", "all", "plan", "clean"}:
        words += [word for change in chosen["set"] for word in ("--set", change)]
    return shlex.join([*words, *(word for name in names for word in name.split())])


NEXT = {
    "deploy": ("build", "train"),
    "build": ("train",),
    "train": ("serve", "models", "logs train"),
    "serve": ("ui", "predict"),
    "promote": ("models", "smoke", "rollback"),
    "rollback": ("models", "smoke"),
    "tune": ("serve", "models", "config tuning"),
    "tensorboard": ("open tensorboard", "logs tensorboard"),
    "notebook": ("logs notebook", "status", "clean"),
    "ui": ("open", "predict", "models", "status", "logs serving", "clean"),
}
"""What people type after each stage."""


def summarise(c: Context, outcomes: dict[str, Outcome]) -> None:
    """A line for each stage, and the next commands."""
    say("")
    for name, outcome in outcomes.items():
        say(f"{name:11} {outcome.seconds:6.1f} s  {outcome.text}")
    last = list(outcomes)[-1]
    say("\nNext: " + " · ".join(command(c, name) for name in NEXT.get(last, ("status",))))


def down(c: Context, keep_models: bool, yes: bool = False, named: str = "") -> None:
    """Take the environment down, and print the proof that nothing is left.

    Lists first what goes. Where that is more than this machine's own folder it asks; a protected environment wants its
    name.
    """
    settings = settings_of(c)
    steps = partial(stages.stage("deploy").down, settings, keep_models)
    if c.config.run.dry:
        rehearse(steps())
        return
    typed = {"keep-models": keep_models, "yes": yes, "yes-i-mean": named or None}
    permitted(c, settings, typed)
    with alone(settings, "clean"), hands.of(settings) as on:
        say(f"==> clean {settings.environment}")
        execute(preconditions(settings), settings.build, hands=on)
        if settings.cluster.kind != "local":
            say("this would go:")
            foresee(steps(), on, set())
            agreed(settings, yes or bool(named))
        try:
            outcome = execute(steps(), settings.build, hands=on)
        except PipelineError as error:
            raise type_of(error, f"{error.message}\n  {way_on(c, ('clean',), typed)}") from None
        except KeyboardInterrupt:
            raise PipelineError(f"Interrupted.\n  {way_on(c, ('clean',), typed)}", INTERRUPTED) from None
        on.discard()
    say(f"\nclean       {outcome.seconds:6.1f} s  {outcome.text}")


def permitted(c: Context, settings: Settings, typed: dict[str, Any]) -> None:
    """Refuse a protected environment unless its name was typed, and any environment if another's was."""
    named, here = typed["yes-i-mean"], settings.environment
    if named and named != here:
        raise PipelineError(f"--yes-i-mean={named}: this is environment {here}; nothing was done")
    if settings.protected and not named:
        wanted = command(c, "clean", *given({**typed, "yes": False, "yes-i-mean": here}))
        raise PipelineError(f"environment {here} is protected; to take it down say so: `{wanted}`")


def agreed(settings: Settings, yes: bool) -> None:
    """Ask before deleting; without a terminal only --yes is an answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise PipelineError("nothing was deleted: this is not a terminal to ask on; add --yes if you mean it")
    try:
        answer = input(f"Take all of that down in environment {settings.environment}? [y/N] ")
    except EOFError:  # Ctrl-D
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise PipelineError("nothing was deleted", FAILED)
