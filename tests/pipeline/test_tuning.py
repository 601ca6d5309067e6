"""A search on this machine: which trials come when, what is kept, and that nothing is left running."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import manifests, tuning
from pipeline.clusters import search
from pipeline.config import load
from pipeline.errors import RunFailed
from pipeline.processes import marked
from pipeline.settings import Settings
from pipeline.spaces import Value
from pipeline.tuning import Trial

NINE = ("tuning.algorithm=halving", "tuning.trials=9", "tuning.steps=900")


def settings(*changes: str) -> Settings:
    return load("local", changes).settings


def reached(given: Settings, number: int, steps: int, accuracy: float) -> Trial:
    name = tuning.place_of(given, number, steps)
    return Trial(name, steps, tuning.values_of(given, number), accuracy, 1 - accuracy, 1.0)


# Which trials come when


def test_random_search_runs_every_trial_to_its_end() -> None:
    given = settings("tuning.trials=3", "tuning.steps=50")
    assert tuning.due(given, []) == [(1, 50), (2, 50), (3, 50)]


def test_what_has_ended_does_not_run_again() -> None:
    given = settings("tuning.trials=3", "tuning.steps=50")
    assert tuning.due(given, [reached(given, 2, 50, 0.9)]) == [(1, 50), (3, 50)]


def test_halving_begins_with_all_trials_for_a_ninth_of_the_steps() -> None:
    assert tuning.due(settings(*NINE), []) == [(number, 100) for number in range(1, 10)]


def test_halving_goes_on_with_the_best_third_for_three_times_the_steps() -> None:
    given = settings(*NINE)
    first = [reached(given, number, 100, 0.5 + number / 100) for number in range(1, 10)]
    assert tuning.due(given, first) == [(9, 300), (8, 300), (7, 300)]


def test_halving_ends_with_one_trial_that_went_to_the_end() -> None:
    given = settings(*NINE)
    ended = [reached(given, number, 100, 0.5 + number / 100) for number in range(1, 10)]
    ended += [reached(given, number, 300, 0.9 - number / 100) for number in (7, 8, 9)]
    assert tuning.due(given, ended) == [(7, 900)]
    ended.append(reached(given, 7, 900, 0.95))
    assert tuning.due(given, ended) == []
    assert tuning.winner(given, ended) == ended[-1]


def test_a_trial_that_failed_does_not_go_on() -> None:
    given = settings("tuning.algorithm=halving", "tuning.trials=3", "tuning.steps=90")
    ended = [reached(given, 1, 30, 0.6), reached(given, 2, 30, 0.5)]
    ended.append(Trial(tuning.place_of(given, 3, 30), 30, {}, failure="the loss was nan"))
    assert tuning.due(given, ended) == [(1, 90)]


def test_a_search_whose_trials_all_failed_is_over_and_has_no_winner() -> None:
    given = settings("tuning.algorithm=halving", "tuning.trials=3", "tuning.steps=90")
    ended = [Trial(tuning.place_of(given, number, 30), 30, {}, failure="nan") for number in (1, 2, 3)]
    assert (tuning.due(given, ended), tuning.winner(given, ended)) == ([], None)


@pytest.mark.parametrize("trials", [3, 4, 8, 9, 10, 26, 27, 81, 1000])
def test_each_round_of_halving_has_about_a_third_of_the_trials_and_three_times_the_steps(trials: int) -> None:
    rounds = tuning.rounds(settings("tuning.algorithm=halving", f"tuning.trials={trials}", "tuning.steps=10000"))
    assert (rounds[0][0], rounds[-1][1]) == (trials, 10000)
    for (before, few), (after, more) in itertools.pairwise(rounds):
        assert after - 1 < before / 3 <= after
        assert abs(more - 3 * few) <= 3


def test_a_constant_rate_goes_on_in_its_folder_and_another_schedule_starts_anew() -> None:
    constant, cycle = settings("training.schedule=constant"), settings("training.schedule=one-cycle")
    assert tuning.place_of(constant, 7, 100) == tuning.place_of(constant, 7, 300) == "trial-007"
    assert (tuning.place_of(cycle, 7, 100), tuning.place_of(cycle, 7, 300)) == ("trial-007-100", "trial-007-300")


def test_by_loss_the_smallest_is_the_best() -> None:
    given = settings("tuning.metric=validation_loss", "tuning.steps=50")
    trials = [Trial("a", 50, {}, 0.9, 0.3), Trial("b", 50, {}, 0.8, 0.2)]
    assert tuning.winner(given, trials) == trials[1]


# What a search is known by


SAME = ("tuning.trials=20", "tuning.parallel=1", "tuning.algorithm=halving", "tuning.metric=validation_loss",
        "training.steps=7", "training.learning_rate=0.5")  # fmt: skip


@pytest.mark.parametrize("change", SAME)
def test_a_change_that_leaves_the_trials_as_they_are_goes_on_with_the_search(change: str) -> None:
    assert tuning.experiment(settings(change)) == tuning.experiment(settings())


@pytest.mark.parametrize("change", ["tuning.seed=2", "tuning.steps=7", "training.model=cnn", "training.seed=2",
                                    "tuning.validation_share=0.2", "data.dataset=digits",
                                    "tuning.parameters={learning_rate: {min: 0.1, max: 0.2}}"])  # fmt: skip
def test_a_change_of_what_a_trial_is_makes_another_search(change: str) -> None:
    assert tuning.experiment(settings(change)) != tuning.experiment(settings())


@pytest.mark.parametrize("change", ["tuning.trials=20", "tuning.algorithm=halving", "tuning.metric=validation_loss"])
def test_what_katib_cannot_change_of_an_experiment_makes_another_one(change: str) -> None:
    assert tuning.experiment(load("staging", [change]).settings) != tuning.experiment(load("staging").settings)


# What a trial is


def arguments(job: dict[str, Any]) -> list[str]:
    return list(job["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]["containers"][0]["args"])


def test_a_trial_is_the_training_with_its_values_measured_on_held_out_images() -> None:
    given = settings("tuning.steps=50")
    job = search.job_of(given, "trial-001", {"learning_rate": 0.123, "batch_size": 32}, 50)
    args = arguments(job)
    for word in ("--tf-learning-rate=0.123", "--tf-batch-size=32", "--tf-train-steps=50", "--tf-validation-share=0.1"):
        assert word in args
    assert f"--tf-model-dir={given.bucket}/{tuning.folder(given)}/trial-001" in args
    assert not [word for word in args if word.startswith(("--tf-export-dir", "--tf-version-tag"))]


def test_a_trial_differs_from_the_training_in_nothing_else() -> None:
    given = settings()
    plain = set(arguments(manifests.render(given, "train", "1")[0]))
    extra = set(arguments(search.job_of(given, "trial-001", {}, given.training.steps))) - plain
    named = {word.split("=")[0] for word in extra}
    assert named == {"--tf-model-dir", "--tf-validation-share", "--tf-checkpoint-every", "--tf-keep-checkpoints"}


# Searching, with a quick program in the trainer's place

TRAINER = """
import json, os, pathlib, sys, time
flags = dict(word.removeprefix("--tf-").split("=", 1) for word in sys.argv[1:])
rate, steps = float(flags["learning-rate"]), int(flags["train-steps"])
{then}
folder = pathlib.Path(flags["model-dir"])
folder.mkdir(parents=True, exist_ok=True)
settings = dict(learning_rate=rate, batch_size=int(flags["batch-size"]), augment_pixels=int(flags["augment-pixels"]))
figures = dict(validation_accuracy=1 - rate, validation_loss=rate)
record = dict(**figures, steps=steps, settings=settings, durations=dict(total_s=1))
(folder / f"validation-{{steps:08d}}.json").write_text(json.dumps(record))
"""


@pytest.fixture
def search_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Gives settings whose trials are carried out by a small program instead of the trainer; `then` is part of it."""
    monkeypatch.setattr("pipeline.settings.ROOT", tmp_path)
    real = search.job_of

    def given(*changes: str, then: str = "") -> Settings:
        def job_of(settings: Settings, name: str, values: dict[str, Value], steps: int) -> dict[str, Any]:
            job = real(settings, name, values, steps)
            container = job["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]["containers"][0]
            container["command"] = ["python", "-c", TRAINER.format(then=then)]
            return job

        monkeypatch.setattr(search, "job_of", job_of)
        return settings(f"storage.bucket={tmp_path}/bucket", "tuning.steps=27", *changes)

    return given


def records(given: Settings) -> list[str]:
    place = Path(given.bucket, tuning.folder(given))
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*.json"))


def test_each_trial_that_ends_is_told_with_its_figure_the_best_and_the_time_left(
    search_of: Callable[..., Settings],
) -> None:
    given, lines = search_of("tuning.trials=3"), list[str]()
    search.run(given, lines.append)
    assert [line.split(":")[0] for line in lines] == ["1 of 3", "2 of 3", "3 of 3"]
    best = tuning.winner(given, tuning.ended(given))
    assert best
    assert f"best validation_accuracy {best.accuracy:.4f} ({best.name}); about 0 s left" in lines[-1]
    assert best.values["learning_rate"] == min(tuning.values_of(given, number)["learning_rate"] for number in (1, 2, 3))


def test_halving_runs_the_better_ones_for_longer(search_of: Callable[..., Settings]) -> None:
    given = search_of("tuning.algorithm=halving", "tuning.trials=3", "training.schedule=constant")
    search.run(given, lambda line: None)
    whole = tuning.winner(given, tuning.ended(given))
    assert whole
    assert records(given).count(f"{whole.name}/validation-00000027.json") == 1
    assert len(records(given)) == 4


def test_a_search_that_is_over_starts_nothing(search_of: Callable[..., Settings]) -> None:
    search.run(search_of("tuning.trials=2"), lambda line: None)
    search.run(search_of("tuning.trials=2", then="raise SystemExit(1)"), lambda line: None)


def test_more_trials_go_on_with_a_search_that_was_over(search_of: Callable[..., Settings]) -> None:
    search.run(search_of("tuning.trials=2"), lambda line: None)
    lines = list[str]()
    search.run(search_of("tuning.trials=3"), lines.append)
    assert [line.split(":")[0] for line in lines] == ["ended before", "3 of 3"]


def test_a_trial_that_fails_is_recorded_and_does_not_end_the_search(search_of: Callable[..., Settings]) -> None:
    first = tuning.values_of(settings(), 1)["learning_rate"]
    given, lines = (
        search_of("tuning.trials=3", then=f"if rate == {first}: raise SystemExit('the loss was nan')"),
        list[str](),
    )
    search.run(given, lines.append)
    (failed,) = [trial for trial in tuning.ended(given) if trial.failure]
    assert "ended with 1" in failed.failure
    assert "the loss was nan" in failed.failure
    assert [name for name in records(given) if "failed" in name] == [f"{failed.name}/failed-00000027.json"]
    assert sum("failed: tune-" in line for line in lines) == 1
    assert tuning.rows(given, tuning.ended(given))[-1][-1].startswith("tune-")


def test_a_search_whose_trials_all_fail_says_so_in_the_trainers_words(search_of: Callable[..., Settings]) -> None:
    given = search_of("tuning.trials=2", then="raise SystemExit('the loss was nan')")
    with pytest.raises(RunFailed, match=r"(?s)every trial failed; the first: .*the loss was nan"):
        search.run(given, lambda line: None)


def test_a_trial_that_ends_well_without_a_result_has_failed(search_of: Callable[..., Settings]) -> None:
    with pytest.raises(RunFailed, match="it ended well and left no result"):
        search.run(search_of("tuning.trials=1", then="raise SystemExit(0)"), lambda line: None)


def test_ctrl_c_ends_all_trials_and_keeps_what_has_ended(search_of: Callable[..., Settings]) -> None:
    slow = f"time.sleep(60 if rate != {tuning.values_of(settings(), 1)['learning_rate']} else 0)"
    given, began = search_of("tuning.trials=4", then=slow), time.monotonic()

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search.run(given, interrupt)
    assert time.monotonic() - began < 30
    assert marked(given.build) == []
    assert [name.split("/")[0] for name in records(given)] == [tuning.place_of(given, 1, 27)]


def test_no_more_trials_run_at_once_than_the_settings_say(search_of: Callable[..., Settings]) -> None:
    given = search_of("tuning.trials=4", "tuning.parallel=2", then="time.sleep(0.4)")
    most, over = [0], threading.Event()

    def count() -> None:
        while not over.wait(0.05):
            most[0] = max(most[0], len(marked(given.build)))

    counting = threading.Thread(target=count)
    counting.start()
    try:
        search.run(given, lambda line: None)
    finally:
        over.set()
        counting.join()
    assert most[0] == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"steps": 27}', '{"failure": "x"}', "null"])
def test_a_damaged_record_is_a_trial_that_has_not_ended(damage: str, search_of: Callable[..., Settings]) -> None:
    given = search_of("tuning.trials=1")
    search.run(given, lambda line: None)
    path = Path(given.bucket, tuning.folder(given), records(given)[0])
    whole = path.read_text()
    path.write_text(damage)
    assert tuning.ended(given) == []
    search.run(given, lambda line: None)
    assert json.loads(path.read_text()) == json.loads(whole)
