"""The pace of a training: of the last ten seconds, without the first call, with what checkpoints cost."""

from __future__ import annotations

import pytest

from trainer.pace import Pace


def pace(*marks: tuple[float, int]) -> float:
    made = Pace()
    for now, step in marks:
        made.mark(now, step)
    return made.rate()


def test_the_first_call_counts_only_while_there_is_no_other() -> None:
    assert pace((0, 0), (2, 1)) == 0.5
    assert pace((0, 0), (2, 1), (2.5, 51)) == 100


def test_a_checkpoint_between_two_calls_counts() -> None:
    assert pace((0, 0), (1, 0), (2, 100), (4, 200), (5, 300)) == 75


def test_what_is_longer_ago_than_ten_seconds_does_not_count() -> None:
    steady = [(float(second), 100 * second) for second in range(20)]
    slowed = [(19.0 + second, 1900 + 10 * second) for second in range(1, 12)]
    assert pace(*steady) == 100
    assert pace(*steady, *slowed) == 10


def test_calls_that_take_longer_than_that_count_all_the_same() -> None:
    assert pace((0, 0), (60, 1), (120, 2), (180, 3)) == pytest.approx(1 / 60)
