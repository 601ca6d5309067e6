"""The trainer's log for people: in a pod each line is a JSON object, whose message is what a person reads."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys

PROGRESS = re.compile(r"\s*step = \d+/\d+, ")
"""How a line begins that only says how far a training is: the next one may take its place."""

OVER = "\x1b[1A\x1b[2K"
"""A terminal's way to the line above, which it empties."""


def readable(line: str) -> list[str]:
    """The lines of a log's line for people; one that is no object of the trainer's is itself."""
    if not line.startswith("{"):
        return [line]
    try:
        entry = json.loads(line)
    except ValueError:
        return [line]
    if not isinstance(entry.get("message"), str) or "severity" not in entry:
        return [line]
    return entry["message"].splitlines() or [""]


def readable_text(text: str) -> str:
    """A piece of a log for people."""
    return "\n".join(shown for line in text.splitlines() for shown in readable(line))


class Screen:
    """Prints a stage's lines at once; on a terminal a training's progress stays one line, which is written over."""

    def __init__(self) -> None:
        self.passing = False

    def show(self, line: str) -> None:
        passing = bool(PROGRESS.match(line)) and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        if passing:
            line = line[: shutil.get_terminal_size().columns - 1]  # a line that wraps is two
        print(OVER + line if passing and self.passing else line, flush=True)
        self.passing = passing
