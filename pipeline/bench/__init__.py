"""The benchmarks by name: each runs whole processes in turns, measures them, and writes a table to docs/."""

from __future__ import annotations

from invoke.context import Context

from pipeline.config import settings_of
from pipeline.errors import PipelineError

KNOWN = ("train", "serve")


def run(c: Context, what: str, rounds: int, quick: bool, scaling: bool) -> None:
    """Run one benchmark; raises PipelineError for a name or a number that makes no sense."""
    if what not in KNOWN:
        said = f'there is no benchmark "{what}"' if what else "which benchmark?"
        raise PipelineError(f"{said}: known are {', '.join(KNOWN)}, as in `invoke bench train`")
    if rounds < 1:
        raise PipelineError(f"--rounds={rounds}: ask for 1 or more")
    if scaling and (quick or what != "train"):
        raise PipelineError("--scaling goes with `invoke bench train`, and without --quick: leave it out")
    settings = settings_of(c)
    if settings.cluster.kind != "local":
        here = "bench measures this machine: leave --env out"
        raise PipelineError(f"environment {settings.environment} is a cluster's, and {here}")
    if what == "train":
        from pipeline.bench import training

        training.bench(settings, c.config.run.dry, rounds, quick, scaling)
    else:
        from pipeline.bench import serving

        serving.bench(settings, c.config.run.dry, rounds, quick)
