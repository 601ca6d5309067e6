"""`invoke tune` on this machine as a user meets it: interrupted, gone on with, its winner trained, and again."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Checkout
from pipeline.processes import marked

SMALL = ("--set", "training.model=linear", "--set", "training.steps=30", "--set", "data.dataset=digits",
         "--set", "tuning.trials=2", "--set", "tuning.parallel=1", "--set", "tuning.steps=10")  # fmt: skip


@dataclass(frozen=True)
class Life:
    """One search: what was said by the run that Ctrl-C ended, by the one that went on, and by the one after that."""

    checkout: Checkout
    interrupted: tuple[int, str]
    running: list[object]
    gone_on: str
    again: str

    @property
    def card(self) -> dict[str, dict[str, object]]:
        (path,) = (self.checkout.build / "bucket" / "export").glob("*/model_card.json")
        return dict(json.loads(path.read_text()))

    @property
    def records(self) -> dict[str, dict[str, object]]:
        found = (self.checkout.build / "bucket" / "tune").glob("*/*/validation-*.json")
        return {path.parent.name: json.loads(path.read_text()) for path in found}


@pytest.fixture(scope="module")
def life(shared_checkout: Callable[[str], Checkout]) -> Iterator[Life]:
    checkout = shared_checkout("tune")
    process = checkout.start("tune", *SMALL)
    said = ""
    assert process.stdout
    for line in process.stdout:
        said += line
        if "1 of 2: " in line:
            process.send_signal(signal.SIGINT)
            break
    said += process.communicate(timeout=100)[0]
    running: list[object] = list(marked(checkout.build))
    gone_on = checkout.invoke("tune", *SMALL)
    yield Life(checkout, (process.returncode, said), running, gone_on, checkout.invoke("tune", *SMALL))


def test_ctrl_c_ends_every_trial_and_says_how_to_go_on(life: Life) -> None:
    code, said = life.interrupted
    assert code == 130, said
    assert re.search(r"Interrupted\.\n  go on with: invoke .* tune$", said.strip())
    assert life.running == []


def test_the_same_command_goes_on_where_it_was(life: Life) -> None:
    assert "ended before: 1 of 2" in life.gone_on
    assert re.findall(r"(\d) of 2: trial", life.gone_on) == ["2"]


def test_the_trials_are_listed_the_best_first(life: Life) -> None:
    listed = [
        float(figure)
        for figure in re.findall(r"^ +trial-00\d-10 .* (0\.\d{4}) +\d\.\d{4} ", life.gone_on, re.MULTILINE)
    ]
    assert len(listed) == len(life.records) == 2
    assert listed == sorted(listed, reverse=True)


def test_the_figures_are_of_training_images_that_were_held_out(life: Life) -> None:
    assert {record["validation_examples"] for record in life.records.values()} == {144}  # a tenth of 1438


def test_the_best_values_make_a_version_whose_card_names_the_experiment(life: Life) -> None:
    best = max(life.records.values(), key=lambda record: (record["validation_accuracy"], -record["validation_loss"]))
    for name in ("learning_rate", "batch_size", "augment_pixels"):
        assert life.card["settings"][name] == best["settings"][name]
    (place,) = (life.checkout.build / "bucket" / "tune").iterdir()
    assert life.card["settings"]["tuned_by"] == place.name
    assert life.card["dataset"]["train_examples"] == 1438


def test_the_record_of_the_version_names_the_experiment_too(life: Life) -> None:
    (path,) = Path(life.checkout.build / "bucket").glob("*/run.json")
    assert json.loads(path.read_text())["tuned_by"] == life.card["settings"]["tuned_by"]


def test_the_summary_tells_the_version_and_where_it_comes_from(life: Life) -> None:
    summary = re.search(r"^tune +\d.* s  (.*)$", life.gone_on, re.MULTILINE)
    assert summary
    assert re.match(r"version \d{10}: .* of 359 digits test images; .*from trial-00\d-10 of tune-\w{10}: ", summary[1])


def test_a_third_time_nothing_changes(life: Life) -> None:
    assert re.search(r"^tune +\d.* s  unchanged: version \d{10}", life.again, re.MULTILINE), life.again
    assert life.again.count("unchanged: ") >= 3
