"""What the tools' error texts mean, as data: the likely cause, what to do, and whether it passes by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """One row; `cause` and `remedy` may name the pattern's groups in braces."""

    name: str
    pattern: str
    cause: str
    remedy: str
    passes: bool = False
    """Trying again may help."""

    def told(self, text: str) -> str:
        """The row's sentence about a text that it was found in."""
        match = re.search(self.pattern, text)
        groups = {name: value or "…" for name, value in (match.groupdict() if match else {}).items()}
        return f"likely cause: {self.cause}; {self.remedy}".format(**groups)


# The first that fits counts: quota stands before permission, for both are 403.
CAUSES = (
    Cause(
        "no login",
        r"You do not currently have an active account selected",
        "nobody is logged in",
        "`gcloud auth login`",
    ),
)


def of(text: str) -> Cause | None:
    """The first row whose pattern occurs in a tool's words."""
    return next((cause for cause in CAUSES if found(cause.pattern, text)), None)


def found(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None
