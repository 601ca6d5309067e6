"""Train: a TFJob that makes a version, unless the newest was made from the same inputs."""

from __future__ import annotations

from functools import partial

from pipeline import clusters, versions
from pipeline.commands import Call, Probe, Result, Steps, Unchanged
from pipeline.errors import RunFailed
from pipeline.settings import Settings
from pipeline.stages import brought_up, pinned


def up(settings: Settings, tag: str | None = None, force: bool = False) -> Steps:
    local = settings.cluster.kind == "local"
    yield from clusters.of(settings).guard(settings)
    look = partial(versions.choose, settings, tag, force)
    run = yield Probe("which version this makes", look, versions.UNKNOWN, needs=("bucket",))
    if run.state == "done":
        yield Unchanged(run.why)
    else:
        yield from pinned(settings, "train")  # before anything is noted down: without its image there is no run
        if not local:
            yield from brought_up(settings, "preflight", tag=run.tag)
        doing = "make" if run.state == "new" else "go on with"
        record = partial(versions.record, settings, run)
        yield Call(f"{doing} version {run.tag}: {run.why}", lambda show: record(), makes="version")
        yield from brought_up(settings, "train", tag=run.tag)
    accuracy = Probe("its accuracy", partial(told, settings, run.tag), "version <tag>", needs=("version", "bucket"))
    yield Result((yield accuracy))


def told(settings: Settings, tag: str) -> str:
    """The version's accuracy in words; raises RunFailed where the job ended well and left no version."""
    version = next((one for one in versions.listed(settings) if one.tag == tag), None)
    if version is None:
        raise RunFailed(f"the job succeeded but left no whole version {tag} in {settings.bucket}/export")
    metrics, data = version.card["metrics"], version.card["dataset"]
    accuracy = (
        f"version {tag}: {metrics['test_accuracy']:.2%} of {metrics['test_examples']:,} {data['name']} test images"
    )
    if data["stand_in"]:
        accuracy += "; STAND-IN DATA, not MNIST"
        if settings.data.dataset == "auto":
            accuracy += ": `invoke train --force` tries for MNIST again"
    return accuracy
