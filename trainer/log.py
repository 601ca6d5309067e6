"""What a run says, line by line: for people, or with TF_LOG_FORMAT=json as objects for a collector of logs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from trainer.errors import UsageError

VARIABLE = "TF_LOG_FORMAT"
FORMATS = ("text", "json")
OVER = "\x1b[1A\x1b[2K"
"""A terminal's way to the line above, which it empties."""


class Log:
    """How lines are written; the last one gives way to the next where both tell how far a run is."""

    def __init__(self) -> None:
        self.json, self.passing = False, False

    def write(self, message: str, severity: str, fields: Mapping[str, float], to: TextIO) -> None:
        """Print a message; where it cannot go (a full disk, a closed pipe) the run goes on without a log."""
        text = self._object(message, severity, fields) if self.json else message
        passing = bool(fields) and not self.json and is_terminal(to)
        if passing:
            text = text[: shutil.get_terminal_size().columns - 1]  # a line that wraps is two
        try:
            print(OVER + text if passing and self.passing else text, file=to, flush=True)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, to.fileno())  # else Python fails again when it flushes at its end
            os.close(nowhere)
        self.passing = passing

    def _object(self, message: str, severity: str, fields: Mapping[str, float]) -> str:
        """Google Cloud Logging takes time, severity and message for what they are, and the rest as its payload."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps({"time": now, "severity": severity, "message": message, **fields})


LOG = Log()


def choose_format(environ: Mapping[str, str]) -> None:
    """Write as TF_LOG_FORMAT says, `text` where it is not set; raises UsageError for any other word."""
    form = environ.get(VARIABLE) or "text"
    LOG.json = form == "json"
    if form not in FORMATS:
        raise UsageError(f"{VARIABLE}: {form!r} is not one of {', '.join(FORMATS)}.")


def say(message: str, severity: str = "INFO") -> None:
    """Say something on standard output."""
    LOG.write(message, severity, {}, sys.stdout)


def complain(message: str, severity: str = "ERROR") -> None:
    """Say on standard error why the run ends here."""
    LOG.write(message, severity, {}, sys.stderr)


def progress(step: int, total: int, loss: float, accuracy: float, rate: float, left: float) -> None:
    """Say how far a run is: `loss` and `accuracy` of the last step's batch, `rate` in images/s, `left` in seconds.

    On a terminal this takes the place of the line before, if that was one of these.
    """
    message = f"step = {step}/{total}, loss = {loss:.4f}, {rate:.0f} images/s, {duration(left)} left"
    fields = {
        "step": step, "loss": round(loss, 6), "accuracy": round(accuracy, 6),
        "images_per_second": round(rate, 1), "seconds_left": round(left, 1),
    }  # fmt: skip
    LOG.write(message, "INFO", fields, sys.stdout)


def duration(seconds: float) -> str:
    """Write a time as people do: `13 s`, `12 min`, `2 h 5 min`."""
    if seconds < 180:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 180 else f"{minutes // 60} h {minutes % 60} min"


def is_terminal(stream: TextIO) -> bool:
    """Tell whether somebody looks at a screen on which lines can be written over."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
