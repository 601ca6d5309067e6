"""What `doctor` finds, as rows of one table, and how an error becomes one."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pipeline.commands import Command, Step
from pipeline.errors import UNFIT, PipelineError
from pipeline.settings import Settings

WIDEST = 100
"""Characters of a tool's own words that a row shows."""

INSTALL = {
    "gcloud": "install it: https://cloud.google.com/sdk/docs/install",
    "kubectl": "`gcloud components install kubectl`, or `apt-get install kubectl`",
    "gke-gcloud-auth-plugin": "`gcloud components install gke-gcloud-auth-plugin`, or "
    "`apt-get install google-cloud-cli-gke-gcloud-auth-plugin`",
    "docker": "install it: https://docs.docker.com/engine/install",
}
"""How each tool comes onto a machine."""


@dataclass(frozen=True)
class Row:
    """One finding; `missing` is what the environment cannot work without."""

    check: str
    state: Literal["ok", "warn", "missing"]
    found: str
    fix: str = ""


T = TypeVar("T")
Asking = Generator[Step, Any, T]
"""Yields questions as steps and returns what came of them."""

Rows = Asking[list[Row]]
Check = Callable[[Settings], Rows]
"""What `doctor` looks at in one go: one row or several."""


def failed(check: str, command: Command, error: PipelineError) -> Row:
    """The row of a question that was not answered: the likely cause and its remedy, or the tool's last words."""
    if error.code == UNFIT:
        tool = command.argv[0]
        return Row(check, "missing", str(error.message).partition(": ")[0], INSTALL.get(tool, f"install {tool}"))
    last = str(error.message).splitlines()[-1].strip()
    if not last.startswith("likely cause: "):
        return Row(check, "missing", last[:WIDEST], f"`{command}` says more")
    cause, _, remedy = last.removeprefix("likely cause: ").partition("; ")
    return Row(check, "missing", cause, remedy)
