"""When a version on trial is called worse, and when chance is allowed for."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.comparison import Side, chance, counted, reasons
from pipeline.processes import free_port

IMAGES = [(bytes(784), 7)] * 200


def side(tag: str, right: int = 190, milliseconds: float = 2.0, errors: int = 0, failed: int = 0) -> Side:
    """Answers to 200 images of a 7: the first so many right, the last so many errors."""
    one = Side(tag, errors=["UNAVAILABLE"] * errors, counts=Counter(OK=1000, INTERNAL=failed))
    one.heard.digits.extend([7] * right + [1] * (200 - right - errors) + [-1] * errors)
    one.heard.milliseconds.extend([milliseconds] * (200 - errors))
    return one


def against(**its: float) -> list[str]:
    return reasons(side("1"), side("2", **its), IMAGES)  # type: ignore[arg-type]


def test_nothing_speaks_against_an_equal_one_or_one_that_is_worse_by_chance() -> None:
    assert against() == []
    assert against(right=188) == []


def test_a_worse_one_is_told_with_the_images_it_gets_wrong() -> None:
    assert against(right=184) == ["6 images that the stable one has right are wrong, 0 the other way round"]


def test_errors_are_told_those_of_this_comparison_and_those_of_others() -> None:
    assert against(errors=1) == ["1 of 200 requests failed, 0 with the stable one"]
    assert against(failed=10) == ["its server failed 0.99% of its requests, the other 0.00%"]


def test_a_slow_one_is_told_and_a_few_milliseconds_are_none() -> None:
    assert against(milliseconds=6.0) == []
    assert against(milliseconds=9.0) == ["99 % of its answers took up to 9.0 ms, 2.0 ms with the stable one"]


@pytest.mark.parametrize(("lost", "won", "expected"), [(0, 0, 1.0), (5, 0, 1 / 32), (4, 1, 6 / 32), (2, 2, 11 / 16)])
def test_the_chance_is_the_sign_tests(lost: int, won: int, expected: float) -> None:
    assert chance(lost, won) == pytest.approx(expected)


def test_a_server_that_shows_no_counts_is_no_reason_to_fail() -> None:
    assert counted(f"127.0.0.1:{free_port()}", "mnist") == Counter()
