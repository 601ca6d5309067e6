"""The benchmarks by name: each runs whole processes in turns, measures them, and writes a table to docs/."""

from __future__ import annotations

from invoke.context import Context

from pipeline.errors import PipelineError

KNOWN = ("train",)


def run(c: Context, what: str, rounds: int, quick: bool, scaling: bool) -> None:
    """Run one benchmark; raises PipelineError for a name or a number that makes no sense."""
    if what not in KNOWN:
        said = f'there is no benchmark "{what}"' if what else "which benchmark?"
        raise PipelineError(f"{said}: known are {', '.join(KNOWN)}, as in `invoke bench train`")
    if rounds < 1:
        raise PipelineError(f"--rounds={rounds}: ask for 1 or more")
    if quick and scaling:
        raise PipelineError("--quick and --scaling: choose one of them")
    from pipeline.bench import training

    training.bench(c, rounds, quick, scaling)
