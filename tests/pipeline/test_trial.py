"""Which version may be tried on a share, what its server serves, and what ends a trial."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import aliases, choice, storage, trial
from pipeline.aliases import Canary
from pipeline.choice import Choice
from pipeline.config import load
from pipeline.errors import Refusal
from pipeline.served import Served
from pipeline.settings import Settings
from versions import put  # type: ignore[import-not-found]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """An environment whose version 200 is stable, with 100 and 300 as good as it and 400 worse."""
    storage.of.cache_clear()
    for tag, accuracy in {"100": 0.99, "200": 0.99, "300": 0.991, "400": 0.5}.items():
        put(tmp_path, tag, accuracy)
    made = load("local", [f"storage.bucket={tmp_path}"]).settings
    taken(made, choice.named(made, "200"))
    yield made
    storage.of.cache_clear()


def taken(settings: Settings, chosen: Choice) -> Choice:
    if chosen.after is not None:
        aliases.write(settings, chosen.after, chosen.generation)
    return chosen


def on_trial(settings: Settings) -> Canary | None:
    return aliases.read(settings)[0].canary


def test_a_version_gets_a_share_and_the_stable_one_stays(settings: Settings) -> None:
    chosen = taken(settings, trial.begun(settings, "300", "10"))
    assert (chosen.tag, chosen.trial) == ("200", Canary(version="300", percent=10))
    known, _ = aliases.read(settings)
    assert (known.stable, known.canary, known.history[-1].did) == ("200", chosen.trial, "canary")


def test_the_same_share_again_changes_nothing_and_another_one_does(settings: Settings) -> None:
    taken(settings, trial.begun(settings, "300", "10"))
    again = trial.begun(settings, "300", "10")
    assert (again.after, again.trial) == (None, Canary(version="300", percent=10))
    taken(settings, trial.begun(settings, "300", "50"))
    assert on_trial(settings) == Canary(version="300", percent=50)


@pytest.mark.parametrize("share", ["0", "100", "-3", "ten", "1.5", "010", "1e1", " 10"])
def test_a_share_that_is_none_is_refused(settings: Settings, share: str) -> None:
    with pytest.raises(Refusal, match=r"a share is 1 to 99; `invoke promote 300` gives it all requests"):
        trial.begun(settings, "300", share)


def test_only_a_version_that_is_there_whole_good_and_not_stable_gets_a_share(settings: Settings) -> None:
    for tag, words in {
        "200": "is stable and gets all requests already",
        "400": r"does not pass the gate: its test accuracy 0\.5000",
        "999": "there is no version 999",
        "x": "is no version",
    }.items():
        with pytest.raises(Refusal, match=words):
            trial.begun(settings, tag, "10")
    assert on_trial(settings) is None


def test_without_a_stable_version_there_is_nobody_to_share_with(settings: Settings) -> None:
    (Path(settings.bucket) / "aliases.json").unlink()
    with pytest.raises(Refusal, match="no version is stable yet that could share with 300"):
        trial.begun(settings, "300", "10")


def test_a_version_forced_through_the_gate_is_noted_with_the_figure_that_it_missed(settings: Settings) -> None:
    taken(settings, trial.begun(settings, "400", "1", force=True))
    known, _ = aliases.read(settings)
    assert "0.5000 is" in (known.forced("400") or "")


def test_another_version_takes_the_trials_place_and_that_is_said(settings: Settings) -> None:
    taken(settings, trial.begun(settings, "300", "10"))
    chosen = taken(settings, trial.begun(settings, "100", "5"))
    assert chosen.why == "the trial of version 300 ends with that"
    assert on_trial(settings) == Canary(version="100", percent=5)


@pytest.mark.parametrize("tag", ["300", "100", "200"])
def test_a_promotion_of_whichever_version_ends_the_trial(settings: Settings, tag: str) -> None:
    taken(settings, trial.begun(settings, "300", "10"))
    chosen = taken(settings, choice.named(settings, tag))
    assert (chosen.tag, chosen.trial, on_trial(settings)) == (tag, None, None)
    assert aliases.read(settings)[0].stable == tag


def test_a_rollback_ends_the_trial_and_leaves_the_stable_version(settings: Settings) -> None:
    taken(settings, trial.begun(settings, "300", "10"))
    chosen = taken(settings, choice.earlier(settings))
    assert (chosen.tag, chosen.trial, on_trial(settings)) == ("200", None, None)


@pytest.mark.parametrize("newer", [None, "500"])
def test_serve_leaves_a_trial_alone_whatever_is_newest(settings: Settings, newer: str | None) -> None:
    taken(settings, trial.begun(settings, "300", "10"))
    if newer:
        put(Path(settings.bucket), newer, 0.995)
    chosen = choice.newest(settings)
    assert (chosen.tag, chosen.after, chosen.trial) == ("200", None, Canary(version="300", percent=10))


def test_the_canarys_server_has_the_stable_version_too_but_where_that_would_answer_in_its_place() -> None:
    assert trial.state("200", Canary(version="300", percent=1)) == Served(
        ("200", "300"), {"stable": "200", "canary": "300"}
    )
    assert trial.state("200", Canary(version="100", percent=1)) == Served(("100",), {"canary": "100"})
