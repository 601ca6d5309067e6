"""Asking a bucket that hangs or fails: nobody waits long, and it is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.web_ui.conftest import wait_until
from webui.patience import Patient
from webui.storage import StorageError


class Slow:
    """Versions that answer when the test lets them."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.fails = False
        self.asked = list[str]()

    def newest(self, path: str) -> str | None:
        return self._answer(path).decode()

    def read(self, version: str, path: str, limit: int) -> bytes | None:
        return self._answer(f"{version}/{path}")[:limit]

    def beside(self, name: str, limit: int) -> bytes | None:
        return self._answer(name)[:limit]

    def _answer(self, what: str) -> bytes:
        self.asked.append(what)
        if not self.open.wait(10) or self.fails:
            raise StorageError("gs://any: 503 no")
        return what.encode()


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.open.set()
    wait_until(lambda: asking() == 0, 5, lambda: "a question never ended")


def asking() -> int:
    """How many questions are under way, abandoned ones too."""
    return sum(thread.name == "asks the bucket" for thread in threading.enumerate())


def let_all_end(slow: Slow) -> None:
    slow.open.set()
    wait_until(lambda: asking() == 0, 5, lambda: "a question never ended")


def test_an_answer_in_time_is_passed_on(slow: Slow) -> None:
    slow.open.set()
    patient = Patient(slow)
    assert patient.newest("card") == "card"
    assert patient.read("9", "card", 3) == b"9/c"
    assert patient.beside("aliases.json", 7) == b"aliases"


def test_every_question_is_asked_anew(slow: Slow) -> None:
    slow.open.set()
    patient = Patient(slow)
    for _ in range(3):
        patient.newest("card")
    assert slow.asked == ["card"] * 3


@pytest.mark.timed
def test_who_has_waited_is_told_and_the_others_are_told_at_once(slow: Slow) -> None:
    patient, began = Patient(slow, wait_s=0.2), time.monotonic()
    with pytest.raises(StorageError, match=r"^no answer within 0\.2 s$"):
        patient.newest("card")
    for version in range(100):
        with pytest.raises(StorageError, match=r"no answer within 0\.2 s; it is left alone for 10 s"):
            patient.read(str(version), "card", 10)
    assert time.monotonic() - began < 0.6
    assert slow.asked == ["card"]


def test_a_late_answer_serves_the_next_who_asks(slow: Slow) -> None:
    patient = Patient(slow, wait_s=0.05)
    with pytest.raises(StorageError):
        patient.read("9", "card", 10)
    let_all_end(slow)
    assert patient.read("9", "card", 10) == b"9/card"
    assert slow.asked == ["9/card"]


def test_a_failure_is_remembered_for_a_while_and_then_asked_again(slow: Slow) -> None:
    slow.fails = True
    slow.open.set()
    patient = Patient(slow, rest_s=0.3)
    with pytest.raises(StorageError, match=r"503 no$"):
        patient.newest("card")
    slow.fails = False
    with pytest.raises(StorageError, match="503 no; it is left alone"):
        patient.newest("card")
    time.sleep(0.35)
    assert patient.newest("card") == "card"
    assert len(slow.asked) == 2


def test_a_failure_that_comes_late_is_no_answer_to_a_later_question(slow: Slow) -> None:
    patient = Patient(slow, wait_s=0.05, rest_s=0.05)
    slow.fails = True
    with pytest.raises(StorageError):
        patient.newest("card")
    let_all_end(slow)
    slow.fails = False
    time.sleep(0.1)
    assert patient.newest("card") == "card"


def test_many_who_ask_the_same_at_once_ask_once(slow: Slow) -> None:
    patient = Patient(slow, wait_s=5)
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(patient.newest, "card") for _ in range(20)]
        time.sleep(0.2)
        slow.open.set()
        assert {each.result() for each in asked} == {"card"}
    assert slow.asked == ["card"]


def test_questions_in_flight_are_bounded(slow: Slow) -> None:
    patient = Patient(slow, wait_s=0.01, rest_s=0.0)
    for version in range(60):
        with pytest.raises(StorageError):
            patient.read(str(version), "card", 10)
    assert asking() == 16
    let_all_end(slow)
    assert patient.read("99", "card", 10) == b"99/card"  # room again: answers that nobody fetched have made place
