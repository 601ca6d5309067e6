"""Teaches the stock `invoke` binary `--env`, `--set`, help order and optional positional arguments.

Invoke parses its core options before it loads tasks.py and stops at the first one it does not know. Nothing
has run by then. So tasks.py calls `adopt()` at its import: the running program becomes a `PipelineProgram`
and parses the same command line once more; parsing has no side effects.

Nothing heavy is imported here: every `invoke --list` pays for it.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import signal
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit, ParseError
from invoke.parser import Parser
from invoke.parser.argument import Argument
from invoke.parser.context import to_flag
from invoke.program import Program

from pipeline.errors import INTERRUPTED, PipelineError, RunFailed

CONFIG = Path(__file__).resolve().parent.parent / "config"
DEFAULT_ENVIRONMENT = "local"
CHOSEN = "pipeline"
"""The key in `c.config` that holds what was asked: {"environment": str, "set": [str, …]}."""


def adopt() -> None:
    """Turn the running stock program into a `PipelineProgram`; anything else (fab, pytest) is left alone."""
    program = getattr(sys.modules.get("invoke.main"), "program", None)
    if type(program) is not Program or not program.argv:
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no arrow still gets the line
    loading = _collection_options(program)
    program.__class__ = PipelineProgram
    program.parse_core(program.argv)
    if _collection_options(program) != loading:  # too late: this tasks.py was already chosen
        raise PipelineError("--collection and --search-root choose tasks.py: write them before --env and --set")


def environments(config: Path = CONFIG) -> list[str]:
    """The known environments: every YAML file beside base.yaml, by name."""
    return sorted(path.stem for path in config.glob("[!.]*.yaml") if path.stem != "base")


def check_environment(name: str, origin: str = "", config: Path = CONFIG) -> str:
    """The name itself, or a PipelineError that lists the known ones; `origin` says who asked for it."""
    known = environments(config)
    if name not in known:
        source = f" (from {origin})" if origin else ""
        raise PipelineError(f'unknown environment "{name}"{source}: known are {", ".join(known) or "none"}')
    return name


def ambient_environment() -> tuple[str, str]:
    """The environment when no flag names one, and its origin: INVOKE_ENV, else `local`."""
    ambient = os.environ.get("INVOKE_ENV")
    return (ambient, "INVOKE_ENV") if ambient else (DEFAULT_ENVIRONMENT, "")


class PipelineProgram(Program):
    """Stock Invoke plus `--env` and `--set`; a mistake exits 2, a disk or file that fails 1, Ctrl-C 130."""

    def core_args(self) -> list[Argument]:
        env = f"Environment: {', '.join(environments())}; default INVOKE_ENV, else {DEFAULT_ENVIRONMENT}."
        change = "Change one setting for this run: --set training.steps=500. May be repeated."
        return [
            *super().core_args(),
            Argument(names=("env", "E"), help=env),
            Argument(names=("set",), kind=list, help=change),
        ]

    def parse_core(self, argv: list[str] | None) -> None:
        try:
            super().parse_core(argv)
        except ParseError as error:
            raise PipelineError(self._readable(error)) from None

    def _make_parser(self) -> Parser:
        """The parser that `parse_tasks` has looked at: Invoke takes the help texts out of the tasks as it makes one."""
        looked_at: Parser | None = vars(self).pop("looked_at", None)
        return looked_at or super()._make_parser()

    def parse_tasks(self) -> None:
        """Parse the tasks; `--set` before and after them add up; Invoke would keep the later ones."""
        before = list(self.args.set.value)
        self.looked_at = self._make_parser()
        known = self.looked_at.contexts
        self.core.unparsed = named_positionals(self.core.unparsed, known, self.initial_context)
        try:
            super().parse_tasks()
        except ParseError as error:
            raise PipelineError(self._readable(error)) from None
        except ValueError as error:  # of an option that takes a number
            raise PipelineError(f"a whole number is wanted: {error}") from None
        self.args.set._value = before + list(self.core_via_tasks.args.set.value)
        if self.args.env.value is not None and not self.args.complete.value:
            check_environment(self.args.env.value)

    def _readable(self, error: ParseError) -> str:
        """Invoke's sentence about the command line, without its internals, with a guess at what was meant."""
        message = str(error)
        if valueless := re.match(r"Flag <Argument: ([\w-]+).* needed value", message):
            return f"--{valueless[1]} wants a value"
        unknown = re.match(r"No idea what '(.*)' is!", message, re.DOTALL)
        close = get_close_matches(unknown[1], self.collection.task_names, n=1) if unknown else []
        return f'{message} Did you mean "{close[0]}"?' if close else message

    def parse_cleanup(self) -> None:
        if self.args.complete.value and (known := _environment_candidates(self.core.remainder)):
            print(*known, sep="\n")
            raise Exit
        super().parse_cleanup()

    def list_flat(self) -> None:
        """List tasks in the order tasks.py defines them: the order they are used in, not the alphabet's."""
        place = {name: index for index, name in enumerate(self.scoped_collection.tasks)}
        pairs = self._make_pairs(self.scoped_collection)
        pairs.sort(key=lambda pair: place.get(pair[0].split()[0], len(place)))
        self.display_with_columns(pairs=pairs)

    def update_config(self, merge: bool = True) -> None:
        """Leave what was asked in `c.config.pipeline`, where `pipeline.config.settings_of(c)` finds it."""
        super().update_config(merge=merge)
        given = self.args.env.value
        name, origin = (given, "") if given is not None else ambient_environment()
        chosen: Any = {"environment": check_environment(name, origin), "set": self._changes()}
        self.config[CHOSEN] = chosen

    def _changes(self) -> list[str]:
        changes = list(self.args.set.value)
        for change in changes:
            if not re.match(r"[^=\s]+=", change):
                example = "--set training.steps=500"
                raise PipelineError(f"--set {change}: write a setting and its value, as in {example}")
        # Invoke lets a repeated list option go by without a value.
        words = itertools.takewhile("--".__ne__, self.argv)
        if len(changes) < sum(word.partition("=")[0] == "--set" for word in words):
            raise PipelineError("--set wants a value")
        return changes

    def execute(self) -> None:
        try:
            super().execute()
        except KeyboardInterrupt:
            raise Exit(message="Interrupted.", code=INTERRUPTED) from None
        except BrokenPipeError:  # `invoke models | head`: the reader has seen enough, and what is left undone is not 0
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise Exit(code=128 + signal.SIGPIPE) from None
        except OSError as error:  # a full disk, a folder that may not be written: nothing of ours to trace
            raise RunFailed(f"{error.filename or 'a file'}: {error.strerror or error}") from None


def named_positionals(tokens: Iterable[str], contexts: Any, core: Any) -> list[str]:
    """Spell a task's optional positional arguments as flags: `logs train` becomes `logs --component=train`.

    Invoke's own positional arguments are either required or never filled. A task says which it means with
    `@task(positional=["component"])` and a default that is not None.
    """
    spelled: list[str] = []
    waiting: list[str] = []
    flags, value_due = core.flags, False
    for token in tokens:
        if value_due or token.startswith("-"):
            flag, given, _ = token.partition("=")
            # Not get(): a Lexicon's does not know the short names.
            arg = next((known[flag] for known in (flags, core.flags) if flag in known), None)
            waiting = [name for name in waiting if value_due or not arg or name not in arg.names]
            value_due = bool(not value_due and not given and arg and arg.takes_value and not arg.optional)
        elif waiting:
            token = f"{to_flag(waiting.pop(0))}={token}"
        elif token in contexts:
            flags = contexts[token].flags
            waiting = [arg.names[0] for arg in contexts[token].positional_args]
        spelled.append(token)
    return spelled


def _collection_options(program: Program) -> tuple[str | None, str | None]:
    return program.args.collection.value, program.args["search-root"].value


def _environment_candidates(remainder: str) -> list[str]:
    """Environments, when the command line being completed ends in `--env` or the beginning of its value."""
    # Bash hands over `--env=sta` as the three words `--env = sta`, and drops an empty last word.
    end = re.search(r"(?:^|\s)(?:--env|-E)(?:\s*=\s*|\s+|$)(\S*)$", remainder)
    return environments() if end and end[1] not in environments() else []
