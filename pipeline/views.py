"""What the tasks that change nothing print: status, versions, predictions, addresses, logs, manifests."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from invoke.context import Context

from pipeline import aliases, client, clusters, gate, hands, lock, manifests, records, storage, tracks, versions
from pipeline.aliases import Aliases
from pipeline.config import settings_of
from pipeline.errors import PipelineError, RunFailed
from pipeline.execution import execute, say
from pipeline.files import write
from pipeline.listing import table
from pipeline.settings import Settings
from pipeline.smoke import COUNT, run

SHADES = " .:-=+*#%@"

MOST = 500
"""The test images that a version carries."""


def show(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under a heading, columns aligned."""
    for line in table([tuple(head), *(tuple(map(str, row)) for row in rows)]):
        say(line)


def attached(c: Context) -> Settings:
    """The environment's settings, once its cluster is known to be its own and can be asked."""
    settings = settings_of(c)
    with hands.of(settings) as on:
        execute(clusters.of(settings).guard(settings), settings.build, lambda line: None, on)
    return settings


def status(c: Context) -> None:
    """What runs in the environment, which versions are there, and which the server has."""
    settings = attached(c)
    rows = clusters.of(settings).status(settings)
    say(f"environment {settings.environment}, bucket {settings.bucket}")
    if rows:
        show(("component", "state", "runs as", "up", "address"), rows)
    else:
        say("nothing runs: `invoke all` starts everything")
    there, (known, _) = versions.listed(settings), aliases.read(settings)
    served = served_by(settings, known) if rows else {}
    tags = ", ".join(version.tag for version in there) or "none"
    say(f"versions in the bucket: {tags}; stable: {known.stable or 'none'}")
    if known.canary:
        say(f"on trial: {known.canary.version} with {known.canary.percent} % of the predictions; see `invoke canary`")
    say(f"versions in the server: {', '.join(f'{tag} {state}' for tag, state in served.items()) or 'none'}")


def served_by(settings: Settings, known: Aliases) -> dict[str, str]:
    """The server's versions and states, and those of the server of a version on trial; empty where none answers."""
    found, trial = dict[str, str](), [tracks.service(settings, tracks.CANARY)] if known.canary else []
    for service in (f"{settings.serving.model_name}-service", *trial):
        with (
            contextlib.suppress(PipelineError),
            clusters.of(settings).reach(settings, service, "http-tf-serving") as way,
        ):
            found |= client.versions(way.address, settings.serving.model_name)
    return found


def reach(settings: Settings, port: str) -> AbstractContextManager[Any]:
    """Inside, a port of the model server is at the `address` of what this gives."""
    return clusters.of(settings).reach(settings, f"{settings.serving.model_name}-service", port)


def predict(c: Context, count: int = 10) -> None:
    """Send test images through gRPC, print the first as text and what the server saw in each."""
    settings = attached(c)
    newest = versions.newest(settings)
    packed = newest and storage.of(settings).read_bytes(
        f"export/{newest.tag}/assets.extra/test_images.zip", records.PACKED
    )
    if not packed:
        raise PipelineError(f"no version with test images is in {settings.bucket}/export yet: `invoke train` makes one")
    if not 1 <= count <= MOST:
        raise PipelineError(f"--count={count}: a version carries {MOST} test images; ask for 1 to {MOST}")
    chosen = client.images(packed, count)
    with reach(settings, "grpc-tf-serving") as way:
        answers = client.predict(way.address, settings.serving.model_name, [one for one, _ in chosen])
    drawing(chosen[0][0])
    right = [truth == digit for (_, truth), digit in zip(chosen, answers.digits, strict=True)]
    rows = zip(chosen, answers.digits, answers.probabilities, right, strict=True)
    show(
        ("truth", "seen", "sure", ""),
        [(truth, seen, f"{sure:.1%}", "" if ok else "wrong") for (_, truth), seen, sure, ok in rows],
    )
    say(f"{sum(right)} of {len(right)} right, by version {answers.version}, in {answers.milliseconds:.1f} ms")


def smoke(c: Context, count: int = COUNT) -> None:
    """Send test images one by one over gRPC and REST; RunFailed where fewer are right than the card lets expect."""
    if not 1 <= count <= MOST:
        raise PipelineError(f"--count={count}: a version carries {MOST} test images; ask for 1 to {MOST}")
    report = run(attached(c), count)
    show(("over", "right", "p50", "p99", "answered by"), report.lines())
    for card in report.cards:
        say(f"card of {card.tag}: {gate.accuracy(card):.2%} of all test images are right")
    say(f"to be expected of {len(report.images)}: {report.least} or more")
    if trouble := report.trouble():
        raise RunFailed(trouble)


def drawing(image: bytes) -> None:
    """Print an image of 28x28 grey bytes in characters."""
    for at in range(0, len(image), 28):
        line = "".join(SHADES[value * len(SHADES) // 256] * 2 for value in image[at : at + 28]).rstrip()
        if line:
            say(line)


def logs(c: Context, component: str = "train", lines: int = 40, follow: bool = False) -> None:
    """Print the end of a component's log; `train` is the newest job's."""
    if lines < 1:
        raise PipelineError(f"--lines={lines}: ask for 1 or more")
    names = {
        "serving": "{server}", "canary": "{model}-serving-canary", "router": "{model}-router", "ui": "web-ui",
        "tensorboard": "tensorboard", "notebook": "notebook",
    }  # fmt: skip
    if component != "train" and component not in names:
        raise PipelineError(f'there is no component "{component}": known are train, {", ".join(names)}')
    settings = attached(c)
    if component == "train":
        name = clusters.of(settings).newest_job(settings)
    else:
        name = names[component].format(model=settings.serving.model_name, server=settings.serving.deployment)
    if component == "serving" and tracks.has_server(settings, tracks.STABLE) and aliases.read(settings)[0].canary:
        name = f"{name}-{tracks.STABLE}"
    with contextlib.suppress(BrokenPipeError, *([KeyboardInterrupt] if follow else [])):
        clusters.of(settings).logs(settings, name, lines, follow, say)


def render(c: Context, component: str = "", tag: str = "") -> None:
    """Write the manifests to build/<environment>/ and say where."""
    settings = settings_of(c)
    known = manifests.components(settings)
    if component and component not in known:
        raise PipelineError(f'there is no component "{component}": known are {", ".join(known)}')
    with lock.hold(settings.build, "render"):
        for name in [component] if component else known:
            path = settings.build / f"{name}.yaml"
            write(path, manifests.dump(manifests.render(settings, name, tag or str(int(time.time())))))
            say(str(path))
