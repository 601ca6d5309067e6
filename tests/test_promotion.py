"""Versions that come and go in a server that runs: promoted, gone back from, refused; under clients who never stop."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import Checkout
from pipeline import client
from pipeline.errors import RunFailed
from pipeline.rollout import BLANK
from versions import copied_version, sealed

BOUND = 30.0
"""Seconds until the last answer of a version that was gone back from, at most; 3 are usual, on a busy machine 10."""


@dataclass
class Steady:
    """A client that asks all the time, by a label or without, and what it was answered: when, and by which version."""

    address: str
    label: str
    heard: list[tuple[float, int]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def run(self, over: threading.Event) -> None:
        with client.calling(self.address, "mnist", self.label) as ask:
            while not over.wait(0.01):
                try:
                    self.heard.append((time.monotonic(), ask([BLANK]).version))
                except RunFailed as error:
                    self.failed.append(str(error.message))

    @property
    def versions(self) -> list[int]:
        """Who answered, in this order."""
        return [version for at, (_, version) in enumerate(self.heard) if at == 0 or self.heard[at - 1][1] != version]


@contextlib.contextmanager
def asking(checkout: Checkout) -> Iterator[tuple[Steady, Steady]]:
    """Inside, two clients ask all the time: one for the newest version, one for the stable one."""
    clients, over = tuple(Steady(f"127.0.0.1:{checkout.grpc}", label) for label in ("", "stable")), threading.Event()
    threads = [threading.Thread(target=one.run, args=(over,)) for one in clients]
    for thread in threads:
        thread.start()
    try:
        yield clients[0], clients[1]
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def there(shared_checkout: Callable[[str], Checkout], version: Path) -> Checkout:
    """A checkout that serves version 100 of four: 200 is as good, 300 is no model, 400 is not as its card says."""
    checkout = shared_checkout("promotion")
    copied_version(version, bucket(checkout), "100")
    checkout.invoke("serve")
    copied_version(version, bucket(checkout), "200")
    broken = copied_version(version, bucket(checkout), "300")
    (broken / "saved_model.pb").write_bytes(b"this is no graph")
    sealed(broken)
    copied_version(version, bucket(checkout), "400", test_accuracy=0.9999)
    return checkout


def bucket(checkout: Checkout) -> Path:
    return checkout.build / "bucket"


def answers(checkout: Checkout) -> tuple[int, int]:
    """Which version answers a request that names none, and one that names the label."""
    address = f"127.0.0.1:{checkout.grpc}"
    first, second = (client.predict(address, "mnist", [BLANK], label=label).version for label in ("", "stable"))
    return first, second


def standing(checkout: Checkout) -> dict[str, dict[str, object]]:
    """What `invoke models --json` says of each version."""
    return {one["tag"]: one for one in json.loads(checkout.invoke("models", "--json"))}


def test_a_version_that_is_newer_is_not_served_before_somebody_says_so(there: Checkout) -> None:
    assert answers(there) == (100, 100)


def test_a_promotion_loses_no_request_and_moves_the_label_too(there: Checkout) -> None:
    with asking(there) as (newest, stable):
        said = there.invoke("promote", "200")
    assert answers(there) == (200, 200)
    assert (newest.failed, stable.failed) == ([], [])
    assert (newest.versions, stable.versions) == ([100, 200], [100, 200])
    assert "now 100 beside 200, of which 100 is stable" in said
    assert re.search(r"smoke test: \d+ of 100 right over gRPC", said), said


def test_a_rollback_is_over_in_seconds_and_loses_no_request(
    there: Checkout, record_property: Callable[[str, object], None]
) -> None:
    with asking(there) as (newest, stable):
        time.sleep(0.3)
        began = time.monotonic()
        there.invoke("rollback")
    seconds = max(at for at, version in newest.heard if version == 200) - began
    record_property("seconds_to_the_last_answer", seconds)
    print(f"rollback: {seconds:.1f} s from the command to the last answer of the version gone back from")
    assert 0 < seconds < BOUND
    assert (newest.failed, stable.failed) == ([], [])
    assert (newest.versions, stable.versions) == ([200, 100], [200, 100])
    assert answers(there) == (100, 100)


def test_a_version_that_the_server_refuses_is_gone_back_from_at_once(there: Checkout) -> None:
    with asking(there) as (newest, stable):
        said = there.invoke("promote", "300", code=1)
    assert "the model server refuses version 300: " in said
    assert "version 300 is refused: back to 100" in said
    assert (newest.failed, stable.failed) == ([], [])
    assert ({*newest.versions}, {*stable.versions}) == ({100}, {100})
    assert [tag for tag, one in standing(there).items() if one["stable"]] == ["100"]


def test_a_version_that_was_refused_once_is_promoted_when_it_has_been_put_right(there: Checkout, version: Path) -> None:
    shutil.copy2(version / "saved_model.pb", bucket(there) / "export" / "300" / "saved_model.pb")
    sealed(bucket(there) / "export" / "300")
    there.invoke("promote", "300")
    assert answers(there) == (300, 300)


def test_a_version_that_is_not_as_its_card_says_fails_the_smoke_test(there: Checkout) -> None:
    said = there.invoke("promote", "400", code=1)
    assert re.search(r"only \d\d of 100 test images are right over gRPC, where 99 or more are to be expected", said)
    assert "`invoke rollback` goes back" in said
    assert "of 100 right over gRPC" in there.invoke("rollback")
    assert answers(there) == (300, 300)


def test_models_tells_what_each_version_is_and_what_the_server_has(there: Checkout) -> None:
    rows = {line.split()[0]: line for line in there.invoke("models").splitlines() if re.match(r"\d00 ", line)}
    assert list(rows) == ["400", "300", "200", "100"]
    assert re.search(
        r"^300 +stable +\d\d\.\d\d% of 359 +digits +linear +60 x 64 nesterov 0\.08 .* AVAILABLE$", rows["300"]
    )
    assert all(re.search(rf"^{tag} +was stable ", rows[tag]) for tag in ("100", "200", "400"))


def test_a_plan_tells_what_a_promotion_of_the_newest_would_change(there: Checkout, version: Path) -> None:
    copied_version(version, bucket(there), "500")
    said = there.invoke("plan", "serve", code=2)
    assert re.findall(r"^  run   (.+)$", said, re.MULTILINE) == [
        "record that version 500 is stable instead of 300", "apply ConfigMap mnist-serving",
        "apply ConfigMap mnist-serving",
    ]  # fmt: skip
    assert "now 300 beside 500, of which 300 is stable" in said
    assert answers(there) == (300, 300)


def test_the_gate_stops_serve_with_the_figure_and_the_old_version_goes_on(there: Checkout) -> None:
    said = there.invoke("serve", "--set", "serving.gate.min_accuracy=0.99", code=1)
    assert re.search(
        r"serve: version 500 does not pass the gate: its test accuracy 0\.9\d+ is 0\.\d+ below serving", said
    )
    assert "go on with" not in said
    assert answers(there) == (300, 300)


def test_without_a_server_the_list_and_the_smoke_test_say_so(checkout: Checkout, version: Path) -> None:
    copied_version(version, bucket(checkout), "100")
    assert "no model server answers: `invoke serve` starts one" in checkout.invoke("models")
    assert "no Service mnist-service is there: run the stage that makes it first" in checkout.invoke("smoke", code=2)
