"""`invoke doctor`: everything that an environment needs in one table, with the repair beside each finding."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from invoke.context import Context

from pipeline import hands, machine, project, toolbox
from pipeline.commands import Steps
from pipeline.config import settings_of
from pipeline.errors import RunFailed
from pipeline.execution import execute, say
from pipeline.findings import Check, Row
from pipeline.foresight import rehearse
from pipeline.hands import Hands
from pipeline.listing import table
from pipeline.settings import Settings
from pipeline.toolbox import preconditions
from pipeline.tools import login

__all__ = ["doctor", "examined", "preconditions"]

AT_ONCE = 4
"""Questions asked at the same time: each gcloud takes most of a second of one processor."""


def doctor(c: Context) -> None:
    """Print the table; raises RunFailed (exit 1) where the environment cannot work."""
    settings = settings_of(c)
    if c.config.run.dry:
        for check in (machine.rows, *cloud_checks(settings)):
            rehearse(only_asked(check, settings, []))
        return
    with hands.of(settings) as on:
        rows = examined(settings, on)
    told = [(row.check, row.state, row.found, row.fix) for row in rows]
    for line in table([("check", "state", "found", "fix"), *told]):
        say(line.rstrip())
    missing = list(dict.fromkeys(row.check for row in rows if row.state == "missing"))
    if missing:
        raise RunFailed(f"environment {settings.environment} cannot work yet: {', '.join(missing)}")
    say(f"\nenvironment {settings.environment} can work")


def examined(settings: Settings, on: Hands) -> list[Row]:
    """Every row; what cannot be asked yet, for what it needs is missing, is one row that says so."""
    rows = ask(machine.rows, settings, on)
    if settings.cluster.kind == "local":
        return rows
    execute(login(settings), settings.build, quiet, on)
    tools = ask(toolbox.rows, settings, on)
    unnamed = project.named(settings)
    rows += [*tools, *([unnamed] if unnamed else [])]
    if usable(tools, "gcloud"):
        rows += ask(project.login, settings, on)
    if unnamed or not usable(rows, "login"):
        return [*rows, Row("the rest", "warn", "not asked yet", "first the rows above, then `invoke doctor` again")]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = threads.map(lambda check: ask(check, settings, on), project.CHECKS)
        return [*rows, *(row for some in found for row in some)]


def usable(rows: Iterable[Row], check: str) -> bool:
    """Whether a check was made and found nothing missing."""
    return any(row.check == check and row.state != "missing" for row in rows)


def cloud_checks(settings: Settings) -> tuple[Check, ...]:
    """What is looked at where a cloud is used; nothing for this machine alone."""
    return () if settings.cluster.kind == "local" else (toolbox.rows, project.login, *project.CHECKS)


def ask(check: Check, settings: Settings, on: Hands) -> list[Row]:
    """A check's rows, its questions asked for real."""
    rows = list[Row]()
    execute(only_asked(check, settings, rows), settings.build, quiet, on)
    return rows


def only_asked(check: Check, settings: Settings, rows: list[Row]) -> Steps:
    """A check as steps; its rows go into `rows`."""
    rows += yield from check(settings)


def quiet(line: str) -> None:
    """Questions need not be heard: their table is."""
