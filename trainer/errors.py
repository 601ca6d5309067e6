"""How a run ends early: `__main__` prints the sentence alone and exits with the code."""

from __future__ import annotations


class TrainerError(Exception):
    """A sentence for the user; exit code 1: a retry would fail again."""

    code = 1

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows in place of a traceback."""
        return [str(self)]


class UsageError(TrainerError):
    """Something in the flags, the variables or what they point at has to be changed first."""

    code = 2


class LostMember(TrainerError):
    """Another process of the same training is gone; started again, all go on from the last checkpoint.

    128 and above is what the restart policy ExitCode retries; 138 (128 + SIGUSR1) is left to programs for that.
    """

    code = 138
