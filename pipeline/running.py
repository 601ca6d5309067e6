"""Runs stages for a task: one at a time in an environment, with a summary and, after a failure, how to go on."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from typing import Any

from invoke.context import Context

from pipeline import clusters, hands, lock, program, stages
from pipeline.config import settings_of
from pipeline.errors import PipelineError
from pipeline.execution import Outcome, execute, rehearse, say
from pipeline.processes import unwinding_on_sigterm
from pipeline.settings import Settings


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
    with alone(settings, " ".join(names)):
        outcomes = {}
        for number, name in enumerate(names):
            say(f"==> {name}")
            try:
                steps = stages.stage(name).up(settings, **options)
                outcomes[name] = execute(steps, settings.build, hands=hands.of(settings))
            except PipelineError as error:
                words = (*names[number:], *given(options))
                raise type_of(error, f"{name}: {error.message}\n  go on with: {command(c, *words)}") from None
        summarise(c, outcomes)


def given(options: dict[str, Any]) -> list[str]:
    """A task's own options as they were typed, but for --force: going on is not starting over."""
    texts = [f"--{name}={value}" for name, value in options.items() if isinstance(value, str)]
    return texts + [f"--{name}" for name, value in options.items() if value is True and name != "force"]


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
    if set(names) & set(stages.STAGES):
        words += [word for change in chosen["set"] for word in ("--set", change)]
    return shlex.join([*words, *(word for name in names for word in name.split())])


NEXT = {
    "deploy": ("build", "train"),
    "build": ("train",),
    "train": ("serve", "models", "logs train"),
    "serve": ("ui", "predict"),
    "tensorboard": ("open tensorboard", "logs tensorboard"),
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


def down(c: Context, keep_models: bool) -> None:
    """Take the environment down, and print the proof that nothing is left."""
    settings = settings_of(c)
    if c.config.run.dry:
        rehearse(stages.stage("deploy").down(settings, keep_models))
        return
    with alone(settings, "clean"):
        say(f"==> clean {settings.environment}")
        steps = stages.stage("deploy").down(settings, keep_models)
        outcome = execute(steps, settings.build, hands=hands.of(settings))
    say(f"\nclean       {outcome.seconds:6.1f} s  {outcome.text}")
