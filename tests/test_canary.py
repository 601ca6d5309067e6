"""A version on trial, on this machine: it gets its share and no more, and nobody's request is lost on the way."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import ROOT, Checkout
from documents import agrees, blocks
from pipeline.clusters.supervisor import Supervisor
from steady import Clients
from versions import copied_version, sealed

SHOWN = ("begun", "compared", "more", "promoted")
"""What the page shows of it."""

SHARED = {"begun": 0.2, "left alone": 0.2, "more": 0.6}
"""After which runs it is counted who answers, and the share that the version on trial is to have."""

OLD, NEW = 1763900000, 1763900100


@dataclass
class Trial:
    """What was said and heard while a version was tried, promoted, and another one refused; under steady clients."""

    checkout: Checkout
    clients: Clients
    typed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    heard: dict[str, dict[str, Counter[int]]] = field(default_factory=dict)
    programs: dict[str, set[str]] = field(default_factory=dict)

    def run(self, name: str, *words: str, code: int = 0) -> None:
        """Run invoke, then let the clients ask for a while; note down who answered since."""
        self.typed[name] = words
        self.said[name] = self.checkout.invoke(*words, code=code)
        before = {label: len(heard) for label, heard in self.clients.heard.items()}
        self.clients.wait(150 if name in SHARED else 20)
        self.heard[name] = {label: Counter(heard[before[label] :]) for label, heard in self.clients.heard.items()}
        self.programs[name] = set(Supervisor(self.checkout.build).states())


@pytest.fixture(scope="module")
def trial(shared_checkout: Callable[[str], Checkout], version: Path) -> Trial:
    """The life of a trial: begun, looked at, left alone by `serve`, given more, promoted; then one that is refused."""
    checkout = shared_checkout("canary")
    bucket = checkout.build / "bucket"
    copied_version(version, bucket, "1763900000")
    checkout.invoke("serve")
    copied_version(version, bucket, "1763900100")
    broken = copied_version(version, bucket, "1763900200")
    (broken / "saved_model.pb").write_bytes(b"this is no graph")
    sealed(broken)
    with Clients(checkout.grpc, checkout.rest) as clients:
        made = Trial(checkout, clients)
        made.run("begun", "promote", "1763900100", "--percent=20")
        made.run("compared", "canary", "--count=100")
        made.run("left alone", "serve")
        made.run("more", "promote", "1763900100", "--percent=60")
        made.run("status", "status")
        made.run("models", "models", "--json")
        made.run("promoted", "promote", "1763900100")
        made.run("refused", "promote", "1763900200", "--percent=20", code=1)
    return made


def test_no_request_is_lost_while_a_trial_comes_changes_and_goes(trial: Trial) -> None:
    assert trial.clients.failed == []
    assert set(trial.clients.asked) == {"gRPC", "gRPC stable", "HTTP, kept", "HTTP, new"}
    assert min(trial.clients.asked.values()) > 500


@pytest.mark.parametrize(("stage", "share"), SHARED.items())
def test_the_version_on_trial_gets_its_share(trial: Trial, stage: str, share: float) -> None:
    heard = trial.heard[stage][""]
    count = sum(heard.values())
    assert set(heard) == {OLD, NEW}
    assert abs(heard[NEW] - share * count) <= 4.9 * (count * share * (1 - share)) ** 0.5


def test_who_asks_for_the_stable_version_gets_it(trial: Trial) -> None:
    for stage in ("begun", "compared", "left alone", "more"):
        assert set(trial.heard[stage]["stable"]) == {OLD}, stage


def test_a_promotion_ends_the_trial_and_all_get_the_version(trial: Trial) -> None:
    assert trial.heard["promoted"] == {"": trial.heard["promoted"][""], "stable": trial.heard["promoted"]["stable"]}
    assert [set(heard) for heard in trial.heard["promoted"].values()] == [{NEW}, {NEW}]
    assert trial.programs["begun"] == {"mnist-router", "mnist-serving-canary", "mnist-serving-stable"}
    assert trial.programs["promoted"] == {"mnist-serving"}
    assert "no version is on trial any more: 1763900000 gets all requests" in trial.said["promoted"]


def test_the_comparison_tells_both_versions_apart_and_what_to_type(trial: Trial) -> None:
    lines = trial.said["compared"].splitlines()
    assert re.match(r"version +is +right +p50 +p99 +errors +requests to its server", lines[0])
    assert re.match(r"1763900000 +stable +(\d+) of 100 +[\d.]+ ms +[\d.]+ ms +0 +\d+, 0 failed", lines[1])
    assert re.match(r"1763900100 +canary 20 % +(\d+) of 100 +[\d.]+ ms +[\d.]+ ms +0 +\d+, 0 failed", lines[2])
    assert lines[3] == "the same digit for 100 of 100 images"
    assert lines[-1].endswith(("`invoke promote 1763900100`", "`invoke rollback`"))


def test_serve_leaves_a_trial_alone_and_changes_nothing(trial: Trial) -> None:
    assert "version 1763900200 waits: 1763900100 is on trial" in trial.said["left alone"]
    assert (
        "unchanged: version 1763900100 gets 20 % of the predictions, 1763900000 the others" in trial.said["left alone"]
    )


def test_status_and_models_tell_who_is_on_trial_and_what_its_server_has(trial: Trial) -> None:
    assert "on trial: 1763900100 with 60 % of the predictions; see `invoke canary`" in trial.said["status"]
    assert "versions in the server: 1763900000 AVAILABLE, 1763900100 AVAILABLE" in trial.said["status"]
    known = {one["tag"]: one for one in json.loads(trial.said["models"])}
    assert (known["1763900100"]["canary"], known["1763900100"]["served"], known["1763900000"]["stable"]) == (
        60,
        "AVAILABLE",
        True,
    )


def test_a_version_that_its_server_refuses_is_not_on_trial_and_all_goes_on(trial: Trial) -> None:
    assert "the model server refuses version 1763900200: " in trial.said["refused"]
    assert "version 1763900200 is not on trial: 1763900100 gets all requests" in trial.said["refused"]
    assert [set(heard) for heard in trial.heard["refused"].values()] == [{NEW}, {NEW}]
    assert trial.programs["refused"] == {"mnist-serving"}
    record = json.loads((trial.checkout.build / "bucket" / "aliases.json").read_text())
    assert (record["stable"], record["canary"]) == ("1763900100", None)


def test_the_page_shows_what_is_said(trial: Trial) -> None:
    shown = [block.text for block in blocks((ROOT / "docs" / "canary.md").read_text()) if block.info == "console"]
    parts = [part.partition("\n") for text in shown for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]
    assert [command for command, _, _ in parts] == [f"invoke {' '.join(trial.typed[name])}" for name in SHOWN]
    for name, (_, _, expected) in zip(SHOWN, parts, strict=True):
        assert agrees(trial.said[name], expected), trial.said[name]


def test_without_a_trial_there_is_nothing_to_compare(trial: Trial) -> None:
    assert "no version is on trial: `invoke promote <version> --percent=10`" in trial.checkout.invoke("canary", code=2)
