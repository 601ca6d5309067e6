"""Who is stable and who is on trial: what follows from the history, and two people who change it at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.world import World
from pipeline import aliases, storage
from pipeline.aliases import Aliases, Event
from pipeline.config import load
from pipeline.errors import PipelineError, RunFailed
from pipeline.execution import execute
from pipeline.processes import PASSED_ON
from pipeline.settings import Settings
from pipeline.tools import login


@pytest.fixture(params=["folder", "gs"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """An environment with an empty bucket: a folder, and one in a Cloud Storage that this machine answers for."""
    storage.of.cache_clear()
    if request.param == "folder":
        yield load("local", [f"storage.bucket={tmp_path / 'bucket'}"]).settings
    else:
        monkeypatch.setattr("pipeline.settings.ROOT", tmp_path / "checkout")
        with World(tmp_path / "world") as world:
            world.enable()
            for name, value in world.env().items():
                if name in (*PASSED_ON, "CLOUDSDK_CONFIG"):
                    monkeypatch.setenv(name, value)
            made = load("staging", world.sets()).settings
            execute(login(made), made.build, lambda line: None)
            storage.of(made).create()
            yield made
            storage.of(made).client.close()  # type: ignore[attr-defined]
            assert not world.state.unknown
    storage.of.cache_clear()


def test_where_there_is_no_file_nobody_is_stable(settings: Settings) -> None:
    assert aliases.read(settings) == (Aliases(), 0)


def test_what_is_written_is_read_back(settings: Settings) -> None:
    written = Aliases().moved("100", "serve").moved("200", "promote", forced="test accuracy 0.91").tried("300", 10)
    aliases.write(settings, written, 0)
    there, generation = aliases.read(settings)
    assert there == written
    assert generation != 0
    first, second, third = json.loads(storage.of(settings).read(aliases.NAME) or "")["history"]
    assert {"did": "serve", "version": "100", "from": None, "forced": None}.items() <= first.items()
    assert {"did": "promote", "version": "200", "from": "100", "forced": "test accuracy 0.91"}.items() <= second.items()
    assert {"did": "canary", "version": "300", "from": "200"}.items() <= third.items()


def test_of_two_people_who_promote_at_once_one_is_told_and_changes_nothing(settings: Settings) -> None:
    aliases.write(settings, Aliases().moved("100", "serve"), 0)
    there, generation = aliases.read(settings)
    aliases.write(settings, there.moved("200", "promote"), generation)
    with pytest.raises(RunFailed, match=r"aliases\.json was changed by somebody else meanwhile") as caught:
        aliases.write(settings, there.moved("300", "promote"), generation)
    assert caught.value.code == 1
    assert aliases.read(settings)[0].stable == "200"


def test_a_second_first_one_is_told_too(settings: Settings) -> None:
    aliases.write(settings, Aliases().moved("100", "serve"), 0)
    with pytest.raises(RunFailed, match="somebody else"):
        aliases.write(settings, Aliases().moved("200", "serve"), 0)


def test_of_eight_who_write_at_the_same_moment_one_gets_through(settings: Settings) -> None:
    aliases.write(settings, Aliases().moved("100", "serve"), 0)
    there, generation = aliases.read(settings)
    together, told = threading.Barrier(8), list[str]()

    def promote(version: str) -> None:
        together.wait()
        try:
            aliases.write(settings, there.moved(version, "promote"), generation)
        except RunFailed:
            told.append(version)

    people = [threading.Thread(target=promote, args=(str(number),)) for number in range(201, 209)]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert len(told) == 7
    assert aliases.read(settings)[0].stable not in told


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "Invalid JSON"),
        ('{"stable": 100}', "stable"),
        ('{"stable": "../100"}', "stable"),
        ('{"canary": {"version": "100", "percent": 100}}', r"canary\.percent"),
        ('{"history": [{"at": "", "did": "drop", "version": "1"}]}', r"history\.0\.did"),
    ],
)
def test_a_file_that_is_no_such_record_is_one_sentence(tmp_path: Path, text: str, word: str) -> None:
    settings = load("local", [f"storage.bucket={tmp_path}"]).settings
    (tmp_path / aliases.NAME).write_text(text)
    with pytest.raises(PipelineError, match=rf"aliases\.json: .*{word}.*remove the file") as caught:
        aliases.read(settings)
    assert caught.value.code == 2


def test_rollbacks_go_one_further_back_each_time() -> None:
    then = Aliases().moved("100", "serve").moved("200", "serve").moved("300", "promote")
    assert then.stables() == ["300", "200", "100"]
    then = then.moved("200", "rollback")
    assert then.stables() == ["200", "100"]
    then = then.moved("100", "rollback")
    assert then.stables() == ["100"]
    assert then.moved("400", "promote").stables() == ["400", "100"]


def test_a_version_that_was_stable_twice_is_gone_back_from_twice() -> None:
    then = Aliases().moved("100", "serve").moved("200", "promote").moved("100", "promote").moved("300", "promote")
    assert then.moved("100", "rollback").stables() == ["100", "200", "100"]


def test_a_version_that_was_gone_back_from_is_left_until_it_is_promoted_again() -> None:
    then = Aliases().moved("100", "serve").moved("200", "serve").moved("100", "rollback")
    assert then.left("200")
    assert not then.left("100")
    assert not then.left("300")
    assert not then.moved("200", "promote").left("200")


def test_a_trial_changes_no_stable_version_and_ends_with_a_promotion() -> None:
    then = Aliases().moved("100", "serve").tried("200", 10)
    assert (then.stable, then.canary) == ("100", aliases.Canary(version="200", percent=10))
    assert not then.left("200")
    assert then.tried("200", 0).canary is None
    assert then.moved("200", "promote").canary is None
    assert then.moved("300", "promote").canary == then.canary


def test_what_was_forced_is_told_until_the_version_is_promoted_without() -> None:
    then = Aliases().moved("100", "serve").moved("200", "promote", forced="0.91 < 0.97")
    assert then.forced("200") == "0.91 < 0.97"
    assert then.forced("100") is None
    assert then.moved("200", "promote").forced("200") is None


def test_the_history_keeps_the_last_events() -> None:
    many = tuple(Event(at="", did="promote", version=str(number)) for number in range(1, aliases.KEPT + 1))
    then = Aliases(history=many).moved("5000", "promote")
    assert len(then.history) == aliases.KEPT
    assert then.history[-1].version == "5000"
