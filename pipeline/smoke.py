"""Asks the service with real test images over gRPC and REST: how many are right, how quick it is, which version."""

from __future__ import annotations

import http.client
import json
import math
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field

from pipeline import aliases, client, clusters, gate, records, storage, versions
from pipeline.errors import PipelineError, RunFailed
from pipeline.rollout import PORTS, service
from pipeline.settings import Settings
from pipeline.versions import Version

COUNT, FEW = 100, 10
"""Images, each in a request of its own over either protocol: where another version is served now, and where not."""

UNLIKELY = 1e-4
"""How often a sound version may fail by chance: it reaches its card's accuracy on 10,000 images, not on each 100."""

Image = tuple[bytes, int]


@dataclass(frozen=True)
class Heard:
    """What came back over one protocol: the digits, milliseconds of each request, and who answered how often."""

    protocol: str
    digits: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    versions: Counter[str] = field(default_factory=Counter)

    def right(self, images: list[Image]) -> int:
        return sum(digit == truth for digit, (_, truth) in zip(self.digits, images, strict=True))

    def percentiles(self) -> tuple[float, float]:
        """The median and the 99th percentile of a request's milliseconds."""
        given = self.milliseconds if len(self.milliseconds) > 1 else 2 * self.milliseconds
        cuts = statistics.quantiles(given, n=100, method="inclusive")
        return cuts[49], cuts[98]


@dataclass(frozen=True)
class Report:
    """A whole smoke test: the images with their digits, what was heard, and the cards of those who answered."""

    images: list[Image]
    heard: tuple[Heard, ...]
    cards: list[Version]

    @property
    def least(self) -> int:
        """How many must be right at least: the worst of the versions that answered would reach that all but always."""
        return min(least(gate.accuracy(one), len(self.images)) for one in self.cards)

    def trouble(self) -> str:
        """What is wrong, in a sentence; empty where nothing is."""
        card = min(self.cards, key=gate.accuracy)
        for one in self.heard:
            right, many = one.right(self.images), len(self.images)
            if right < self.least:
                return (
                    f"only {right} of {many} test images are right over {one.protocol}, where {self.least} or more are "
                    f"to be expected of version {card.tag}: its card says {gate.accuracy(card):.2%}, so what is served "
                    f"is not what was measured; `invoke rollback` goes back, `invoke logs serving` may say more"
                )
        first, second = self.heard
        differ = sum(one != other for one, other in zip(first.digits, second.digits, strict=True))
        if differ and len(self.cards) == 1:
            many = len(self.images)
            return f"{first.protocol} and {second.protocol} give different digits for {differ} of {many} images"
        return ""

    def lines(self) -> list[tuple[str, ...]]:
        """A row for each protocol: right ones, median and 99th percentile, who answered."""
        rows = list[tuple[str, ...]]()
        for one in self.heard:
            median, slowest = one.percentiles()
            who = ", ".join(f"{tag} ({count})" for tag, count in sorted(one.versions.items())) or "not said"
            right = f"{one.right(self.images)} of {len(self.images)}"
            rows.append((one.protocol, right, f"{median:.1f} ms", f"{slowest:.1f} ms", who))
        return rows

    def line(self) -> str:
        """All of it in a line."""
        said = (f"{one[1]} right over {one[0]} (p50 {one[2]}, p99 {one[3]})" for one in self.lines())
        return f"smoke test: {', '.join(said)}"


def least(accuracy: float, count: int) -> int:
    """How many of so many images a version of this accuracy gets right, but for once in 1 / UNLIKELY times.

    One more error than was counted is allowed for: no version is right on every image that there is.
    """
    share, total = min(accuracy, 1 - 1 / 10_000), 0.0
    for right in range(count + 1):
        total += math.comb(count, right) * share**right * (1 - share) ** (count - right)
        if total > UNLIKELY:
            return right
    return count


def run(settings: Settings, count: int = COUNT) -> Report:
    """Send `count` test images through the Service, one by one over gRPC and then over REST.

    Raises PipelineError where no server is there or no version has test images, RunFailed for a server's own error.
    """
    name = settings.serving.model_name
    with clusters.of(settings).ways(settings, service(settings), PORTS) as (grpc, rest):
        there = client.versions(rest, name)
        newest = max((tag for tag, state in there.items() if state == "AVAILABLE"), key=int, default="")
        images = test_images(settings, newest, count)
        heard = (over_grpc(grpc, name, images), over_rest(rest, name, images))
    return Report(images, heard, [card(settings, tag) for tag in sorted({*heard[0].versions, *on_trial(settings)})])


def on_trial(settings: Settings) -> set[str]:
    """The versions that share the requests while one is on trial: REST does not say which of them answered."""
    known, _ = aliases.read(settings)
    return {tag for tag in (known.stable, known.canary.version) if tag} if known.canary else set()


def test_images(settings: Settings, tag: str, count: int) -> list[Image]:
    """The first of the test images that a version carries."""
    name = f"export/{tag}/assets.extra/test_images.zip"
    packed = storage.of(settings).read_bytes(name, records.PACKED) if tag else None
    if packed is None:
        raise PipelineError(f"no test images to ask with are in {settings.bucket}/export/{tag or '<version>'}")
    return client.images(packed, count)


def card(settings: Settings, tag: str) -> Version:
    """The record of a version that answered; RunFailed where the bucket has no such version."""
    found = versions.look(settings, tag)
    if not isinstance(found, Version):
        raise RunFailed(f"version {tag} answers, which is not in {settings.bucket}/export, or is damaged ({found})")
    return found


def over_grpc(address: str, model: str, images: list[Image]) -> Heard:
    heard = Heard("gRPC")
    with client.calling(address, model) as ask:
        for pixels, _ in images:
            answer = ask([pixels])
            heard.digits.append(answer.digits[0])
            heard.milliseconds.append(answer.milliseconds)
            heard.versions[str(answer.version)] += 1
    return heard


def over_rest(address: str, model: str, images: list[Image]) -> Heard:
    """TensorFlow Serving's REST answers do not say which version they are of."""
    heard, connection = Heard("REST"), http.client.HTTPConnection(address, timeout=10)
    try:
        for pixels, _ in images:
            body = json.dumps({"instances": [[byte / 255 for byte in pixels]]})
            began = time.perf_counter()
            connection.request("POST", f"/v1/models/{model}:predict", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            said = reply.read()
            heard.milliseconds.append((time.perf_counter() - began) * 1000)
            if reply.status != http.HTTPStatus.OK:
                raise RunFailed(f"{model} at http://{address} answered {reply.status}: {said.decode()[:200]}")
            heard.digits.append(int(json.loads(said)["predictions"][0]["classes"]))
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
        raise RunFailed(f"{model} at http://{address} gave no answer that can be read: {error}") from None
    finally:
        connection.close()
    return heard


def passed(settings: Settings, count: int = COUNT) -> str:
    """Run it; what came of it in a line. Raises RunFailed where too few are right or the protocols differ."""
    report = run(settings, count)
    if trouble := report.trouble():
        raise RunFailed(trouble)
    return report.line()
