"""The errors a user sees: one sentence each, no traceback, an exit code that says whose turn it is."""

from __future__ import annotations

from invoke.exceptions import Exit

DONE, FAILED, MISTAKE, UNFIT, LOCKED, INTERRUPTED = 0, 1, 2, 3, 4, 130
"""Exit codes: done; a tool or run failed; a mistake in what was asked; a tool missing or unfit; somebody
else holds the lock; interrupted by Ctrl-C (128 + SIGINT, as shells have it)."""


class PipelineError(Exit):
    """What is wrong and what would be right; invoke prints the message alone and exits with `code`."""

    def __init__(self, message: str, code: int = MISTAKE) -> None:
        super().__init__(message=message, code=code)


class Refusal(PipelineError):
    """A decision against what was asked: the same command would come to it again, so none is named to go on with."""


class RunFailed(PipelineError):
    """A tool or a run failed (exit 1): what it was doing, its own words, a likely cause, how to go on."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=FAILED)
