"""What `invoke canary` prints: the stable version and the one on trial beside each other, and what to do now."""

from __future__ import annotations

import contextlib
import math
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from invoke.context import Context
from prometheus_client.parser import text_string_to_metric_families

from pipeline import aliases, client, clusters, smoke, tracks, versions, views
from pipeline.aliases import Canary
from pipeline.errors import PipelineError, RunFailed
from pipeline.execution import say
from pipeline.rollout import PORTS
from pipeline.settings import Settings
from pipeline.smoke import Heard, Image
from pipeline.tracks import CANARY, STABLE

COUNT = 200
"""Images, each sent to both servers in turns."""

SURELY = 0.05
"""Where equally good versions would differ so much more rarely than this, the worse one is called worse."""

SLOWER = 2.0
"""A 99th percentile of so many times the other's, and 5 ms more, is called slow: with 200 requests less is chance."""

METRICS = "/monitoring/prometheus/metrics"
REQUESTS = ":tensorflow:serving:request_count"


@dataclass
class Side:
    """One version's answers: what was heard over gRPC, its errors in words, and its server's counts by status."""

    tag: str
    heard: Heard = field(default_factory=lambda: Heard("gRPC"))
    errors: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """Requests of anybody that its server failed, by its own account."""
        return sum(self.counts.values()) - self.counts["OK"]

    def row(self, track: str, images: list[Image]) -> tuple[str, ...]:
        median, slowest = self.heard.percentiles() if self.heard.milliseconds else (math.nan, math.nan)
        served = f"{sum(self.counts.values())}, {self.failed} failed" if self.counts else "not counted"
        right = f"{self.heard.right(images)} of {len(images)}"
        return (self.tag, track, right, f"{median:.1f} ms", f"{slowest:.1f} ms", str(len(self.errors)), served)


def canary(c: Context, count: int = COUNT) -> None:
    """Send the same test images to both versions and print how they compare; PipelineError where none is on trial."""
    if not 1 <= count <= views.MOST:
        raise PipelineError(f"--count={count}: a version carries {views.MOST} test images; ask for 1 to {views.MOST}")
    settings = views.attached(c)
    there, _ = aliases.read(settings)
    if there.canary is None or there.stable is None:
        raise PipelineError("no version is on trial: `invoke promote <version> --percent=10` begins one")
    images = smoke.test_images(settings, there.stable, count)
    stable, tried = heard(settings, there.stable, there.canary, images)
    views.show(
        ("version", "is", "right", "p50", "p99", "errors", "requests to its server"),
        [stable.row("stable", images), tried.row(f"canary {there.canary.percent} %", images)],
    )
    for line in told(settings, stable, tried, images):
        say(line)


def heard(settings: Settings, stable: str, canary: Canary, images: list[Image]) -> tuple[Side, Side]:
    """Ask both servers with each image, in turns; a request that fails is noted down, and is not right."""
    cluster, name = clusters.of(settings), settings.serving.model_name
    sides = Side(stable), Side(canary.version)
    with contextlib.ExitStack() as stack:
        asks = []
        for side, track in zip(sides, (STABLE, CANARY), strict=True):
            service = tracks.service(settings, track)
            grpc, rest = stack.enter_context(cluster.ways(settings, service, PORTS))
            side.counts.update(counted(rest, name))
            asks.append(stack.enter_context(client.calling(grpc, name)))
        for ask in asks:
            with contextlib.suppress(RunFailed):  # the first call connects: that is not the version's time
                ask([images[0][0]])
        for pixels, _ in images:
            for side, ask in zip(sides, asks, strict=True):
                once(side, ask, pixels)
    return sides


def once(side: Side, ask: client.Ask, pixels: bytes) -> None:
    """One image to one version; RunFailed where it is another version that answers."""
    try:
        answer = ask([pixels])
    except RunFailed as error:
        side.errors.append(str(error.message))
        side.heard.digits.append(-1)
        return
    if str(answer.version) != side.tag:
        raise RunFailed(f"version {answer.version} answers where {side.tag} should: `invoke serve` puts that right")
    side.heard.digits.append(answer.digits[0])
    side.heard.milliseconds.append(answer.milliseconds)


def counted(rest: str, model: str) -> Counter[str]:
    """A server's own count of requests by status since it started; empty where it shows none."""
    counts = Counter[str]()
    with contextlib.suppress(urllib.error.URLError, OSError, ValueError):
        with urllib.request.urlopen(f"http://{rest}{METRICS}", timeout=5) as reply:  # an address of our own making
            text = reply.read().decode()
        samples = (one for family in text_string_to_metric_families(text) for one in family.samples)
        for one in samples:
            if one.name == REQUESTS and one.labels.get("model_name") == model:
                counts[one.labels.get("status", "")] += round(one.value)
    return counts


def told(settings: Settings, stable: Side, tried: Side, images: list[Image]) -> list[str]:
    """How far they agree, what speaks against the version on trial, and the command to type."""
    same = sum(one == other for one, other in zip(stable.heard.digits, tried.heard.digits, strict=True))
    lines = [f"the same digit for {same} of {len(images)} images", *cards(settings, stable, tried)]
    lines += [f"an error of {side.tag}: {side.errors[0]}" for side in (stable, tried) if side.errors]
    against = reasons(stable, tried, images)
    if against:
        return [*lines, f"against {tried.tag}: {'; '.join(against)}", "better: `invoke rollback`"]
    return [*lines, f"nothing speaks against {tried.tag}: `invoke promote {tried.tag}`"]


def cards(settings: Settings, stable: Side, tried: Side) -> list[str]:
    """A line where the two learned from different data: then the images are what one of them was made for."""
    found = [versions.look(settings, side.tag) for side in (stable, tried)]
    names = [one.card["dataset"]["name"] for one in found if isinstance(one, versions.Version)]
    if len({*names}) < len(names):
        return []
    return [f"they learned from different data: {stable.tag} from {names[0]}, whose images these are"] if names else []


def reasons(stable: Side, tried: Side, images: list[Image]) -> list[str]:
    """What speaks against the version on trial, in half sentences: errors, accuracy, time."""
    found = list[str]()
    if len(tried.errors) > len(stable.errors):
        found.append(f"{len(tried.errors)} of {len(images)} requests failed, {len(stable.errors)} with the stable one")
    if tried.failed and share(tried) > share(stable):
        found.append(f"its server failed {share(tried):.2%} of its requests, the other {share(stable):.2%}")
    lost, won = differing(stable, tried, images)
    if lost > won and chance(lost, won) < SURELY:
        found.append(f"{lost} images that the stable one has right are wrong, {won} the other way round")
    if stable.heard.milliseconds and tried.heard.milliseconds:
        theirs, its = stable.heard.percentiles()[1], tried.heard.percentiles()[1]
        if its > SLOWER * theirs and its > theirs + 5:
            found.append(f"99 % of its answers took up to {its:.1f} ms, {theirs:.1f} ms with the stable one")
    return found


def share(side: Side) -> float:
    """The part of its requests that a server failed."""
    return side.failed / max(1, sum(side.counts.values()))


def differing(stable: Side, tried: Side, images: list[Image]) -> tuple[int, int]:
    """How many images only the stable version has right, and how many only the one on trial."""
    pairs = [
        (one == truth, other == truth)
        for one, other, (_, truth) in zip(stable.heard.digits, tried.heard.digits, images, strict=True)
    ]
    return pairs.count((True, False)), pairs.count((False, True))


def chance(lost: int, won: int) -> float:
    """How likely equally good versions would differ to this one's disadvantage at least so much: a sign test."""
    many = lost + won
    return float(sum(math.comb(many, at) for at in range(lost, many + 1)) / 2**many)
