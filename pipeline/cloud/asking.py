"""gcloud's questions and changes, and how its answers say what is so already."""

from __future__ import annotations

import re
from typing import Any

from pipeline.commands import Command
from pipeline.settings import Settings
from pipeline.tools import gcloud, labels

ABSENT = (
    r"code=404|NOT_FOUND|[Nn]ot found|was not found|does not exist|Unknown service account"
    r"|SERVICE_DISABLED|has not been used in project .* before or it is disabled"
)
"""In stderr: there is no such thing. Where an API is off there is nothing of it either."""


EXISTS = r"code=409, message=Already exists|ALREADY_EXISTS|already exists"
"""In stderr: it is so already. "Is the subject of a conflict" alone may also mean that somebody else was quicker."""


GONE = r"code=404|NOT_FOUND|[Nn]ot found|was not found|does not exist"


def ask(settings: Settings, *words: str, doing: str, **how: Any) -> Command:
    """A gcloud question whose answer is JSON, None where there is no such thing."""
    how = {"parse": "json", "absent": ABSENT, "timeout": 120, **how}
    return gcloud(settings, *words, "--format=json", doing=doing, kind="ask", **how)


def change(settings: Settings, *words: str, doing: str, **how: Any) -> Command:
    """A gcloud command that changes something; what is so already is a success."""
    return gcloud(settings, *words, doing=doing, **{"timeout": 600, "retry": True, "done": EXISTS, **how})


def undo(settings: Settings, *words: str, doing: str, **how: Any) -> Command:
    """A gcloud command that deletes something; what is gone already is a success."""
    return gcloud(settings, *words, doing=doing, **{"timeout": 1800, "retry": True, "done": GONE, **how})


def told(settings: Settings) -> str:
    """Our labels as the text of a description, for what can bear no labels."""
    return " ".join(f"{key}={value}" for key, value in labels(settings).items())


def read(text: str | None) -> dict[str, str]:
    """The labels in a description."""
    return dict(re.findall(r"([a-z-]+)=([a-z0-9-]+)", text or ""))
