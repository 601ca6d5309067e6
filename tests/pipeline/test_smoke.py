"""What a smoke test makes of what it heard: how many should be right, and when it fails."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.smoke import Heard, Report, least
from pipeline.versions import Version
from versions import card

IMAGES = [(bytes(784), number % 10) for number in range(100)]


def heard(protocol: str, right: int, wrong: int = 9, versions: tuple[str, ...] = ("100",)) -> Heard:
    """A hundred answers of which so many are right."""
    digits = [truth if at < right else (truth + wrong) % 10 for at, (_, truth) in enumerate(IMAGES)]
    milliseconds = [1.0 + at / 100 for at in range(100)]
    return Heard(protocol, digits, milliseconds, Counter(dict.fromkeys(versions, 100 // len(versions))))


def report(grpc: Heard, rest: Heard, *accuracies: float) -> Report:
    cards = [Version(f"{100 * at}", card(f"{100 * at}", accuracy), 1) for at, accuracy in enumerate(accuracies, 1)]
    return Report(IMAGES, (grpc, rest), cards)


@pytest.mark.parametrize(("accuracy", "count", "fewest"), [(0.99, 100, 94), (0.8245, 100, 67), (1.0, 100, 99),
                                                           (0.99, 10, 7), (0.99, 1, 0), (0.0, 100, 0)])  # fmt: skip
def test_how_many_are_to_be_right_follows_from_the_card_and_chance(accuracy: float, count: int, fewest: int) -> None:
    assert least(accuracy, count) == fewest


def test_as_many_right_as_the_card_lets_expect_is_well() -> None:
    assert report(heard("gRPC", 94), heard("REST", 94), 0.99).trouble() == ""


@pytest.mark.parametrize("which", ["gRPC", "REST"])
def test_too_few_right_over_either_protocol_is_told_with_the_figures(which: str) -> None:
    grpc, rest = (heard(one, 62 if one == which else 99) for one in ("gRPC", "REST"))
    trouble = report(grpc, rest, 0.9917).trouble()
    assert trouble.startswith(f"only 62 of 100 test images are right over {which}, where ")
    assert "version 100: its card says 99.17%" in trouble


def test_protocols_that_differ_are_told() -> None:
    trouble = report(heard("gRPC", 98, wrong=1), heard("REST", 98, wrong=2), 0.99).trouble()
    assert trouble == "gRPC and REST give different digits for 2 of 100 images"


def test_of_two_versions_that_answer_the_poorer_ones_card_counts_and_they_may_differ() -> None:
    both = heard("gRPC", 85, versions=("100", "200"))
    assert report(both, heard("REST", 90), 0.99, 0.9).trouble() == ""


def test_the_table_has_the_right_ones_the_times_and_who_answered() -> None:
    rows = report(heard("gRPC", 99, versions=("100", "200")), heard("REST", 99), 0.99).lines()
    assert rows[0] == ("gRPC", "99 of 100", "1.5 ms", "2.0 ms", "100 (50), 200 (50)")
    assert Heard("REST", [1], [3.0]).percentiles() == (3.0, 3.0)
