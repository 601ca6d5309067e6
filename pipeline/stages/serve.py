"""Serve: TensorFlow Serving on the stable version, which the newest becomes, and a Service in front of it."""

from __future__ import annotations

from functools import partial

from pipeline import aliases, choice, client, clusters, rollout, smoke, tracks
from pipeline.aliases import Canary
from pipeline.choice import Choice
from pipeline.clusters import inference
from pipeline.commands import Asking, Call, Note, Probe, Result, Steps, Together, Watch
from pipeline.errors import PipelineError, RunFailed
from pipeline.served import Served, moves, only, spoken, summary
from pipeline.settings import Settings
from pipeline.stages import brought_up, canary


def up(settings: Settings) -> Steps:
    yield from clusters.of(settings).guard(settings)
    stable = yield Probe("which version is stable", partial(stable_now, settings), needs=("bucket",))
    look, needs = partial(choice.newest, settings), ("bucket", "version")
    yield from served(settings, (yield Probe("which version is the newest", look, choice.unknown(stable), needs)))


def stable_now(settings: Settings) -> str | None:
    return aliases.read(settings)[0].stable


def served(settings: Settings, chosen: Choice) -> Steps:
    """Bring the model server to a version: first the record in the bucket, then the server, step by step.

    Where the server refuses the version, both are put back; RunFailed then says why.
    """
    tag, name = chosen.tag, settings.serving.model_name
    yield from inference.required(settings)
    if chosen.trial and settings.serving.kind == "kserve":
        raise PipelineError("a canary wants serving.kind: deployment; KServe here runs one server for one version")
    if chosen.why:
        yield Note(chosen.why, always=True)
    if chosen.after is not None:
        yield Call(f"record that {recorded(chosen)}", partial(record, settings, chosen))
    if chosen.trial:
        yield from on_trial(settings, chosen, chosen.trial)
        return
    yield from canary.off(settings, chosen.before or tag)
    before = now = yield from present(settings)
    yield from canary.required(settings)
    *first, last = moves(before, tag)
    try:
        for state in first:
            yield from brought(settings, state, now, "serving")
            yield Watch(f"until version {tag} is loaded", partial(rollout.loaded, settings, tag))
            now = state
        # The server first: the Service is to lead to what is ready.
        yield from brought(settings, last, now, "serving", *tracks.entrance(settings), *guards(settings))
        yield Watch(f"until version {tag} answers", partial(rollout.answers, settings, tag))
    except client.NotServed:
        yield from put_back(settings, chosen, before)
        raise
    yield from inference.left_over(settings)
    count = smoke.FEW if before == only(tag) else smoke.COUNT
    tried = yield Watch(f"{count} test images through the service", partial(smoke.passed, settings, count))
    grpc, rest = yield Together(tuple(place(settings, port) for port in ("grpc-tf-serving", "http-tf-serving")))
    if tried:
        yield Note(tried)
    yield Result(f"version {tag} of {name} at {grpc} (gRPC) and http://{rest}/v1/models/{name}")


def guards(settings: Settings) -> tuple[str, ...]:
    """What protects the server from others; on this machine there are none."""
    return () if settings.cluster.kind == "local" else ("protection",)


def recorded(chosen: Choice) -> str:
    """What is written down, in words."""
    if chosen.trial:
        return f"version {chosen.trial.version} is on trial with {chosen.trial.percent} % of the predictions"
    instead = f" instead of {chosen.before}" if chosen.before not in (None, chosen.tag) else ""
    return f"version {chosen.tag} is stable{instead}"


def on_trial(settings: Settings, chosen: Choice, trial: Canary) -> Steps:
    """A version that shares the requests; where that does not come about, all go to the stable one again."""
    try:
        yield from canary.on(settings, chosen.tag, trial)
    except RunFailed:
        if chosen.after is not None:
            yield Note(f"version {trial.version} is not on trial: {chosen.tag} gets all requests", always=True)
            yield Call(f"record that the trial of version {trial.version} is over", partial(given_up, settings, trial))
            yield from canary.off(settings, chosen.tag)
        raise


def given_up(settings: Settings, trial: Canary, show: object) -> None:
    """Write down that a trial is over, unless somebody has begun another meanwhile."""
    there, generation = aliases.read(settings)
    if there.canary == trial:
        aliases.write(settings, there.tried(trial.version, 0), generation)


def record(settings: Settings, chosen: Choice, show: object) -> None:
    """Write down who is stable, unless somebody else has since."""
    if chosen.after is not None:
        aliases.write(settings, chosen.after, chosen.generation)


def present(settings: Settings) -> Asking:
    """What the server is told to serve now; None where nothing is there yet."""
    return (yield from canary.told(settings, f"{settings.serving.model_name}-serving"))


def brought(settings: Settings, state: Served, now: Served | None, *components: str) -> Steps:
    """Apply a state of the server; where it is another than now, its pods are made to look at their file at once."""
    if now not in (None, state):
        yield Note(f"now {spoken(state)}", always=True)
    yield from brought_up(settings, *components, state=state)
    if now not in (None, state):
        yield from clusters.of(settings).refreshed(settings, "serving", summary(state))


def put_back(settings: Settings, chosen: Choice, before: Served | None) -> Steps:
    """After a version that the server refuses: the record and the server as they were."""
    if chosen.after is None or chosen.before is None or before is None:
        return
    yield Note(f"version {chosen.tag} is refused: back to {chosen.before}", always=True)
    yield Call(f"record that version {chosen.before} is stable again", partial(restore, settings, chosen))
    yield from brought(settings, before, None, "serving")
    yield from clusters.of(settings).refreshed(settings, "serving", summary(before))


def restore(settings: Settings, chosen: Choice, show: object) -> None:
    """Write down the stable version of before, unless somebody has chosen another meanwhile."""
    there, generation = aliases.read(settings)
    if there.stable == chosen.tag and chosen.before is not None:
        aliases.write(settings, there.moved(chosen.before, "rollback"), generation)


def place(settings: Settings, port: str) -> Probe:
    """Asks for the Service's address by a port's name."""
    look = partial(clusters.of(settings).address, settings, f"{settings.serving.model_name}-service", port)
    return Probe(f"the {port} address", look, f"<{port}>", needs=("service",))
