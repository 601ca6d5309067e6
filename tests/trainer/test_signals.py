"""Signals: the first one counts, at once or when there is time for it; others change nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from trainer.signals import Interrupted, Signals


@pytest.fixture
def signals() -> Iterator[Signals]:
    """Handlers as a run has them; pytest gets its own back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield Signals()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_128_and_its_number(signals: Signals, number: int, code: int) -> None:
    with pytest.raises(Interrupted) as caught:
        os.kill(os.getpid(), number)
    assert caught.value.code == code


def test_a_signal_that_is_held_is_noted(signals: Signals) -> None:
    with signals.held():
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.is_noted()
    assert signals.noted == signal.SIGTERM


def test_a_second_signal_does_not_break_off_what_the_first_began(signals: Signals) -> None:
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
    assert signals.noted == signal.SIGINT


def test_a_signal_after_one_that_was_held_changes_nothing(signals: Signals) -> None:
    with signals.held():
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    assert signals.noted == signal.SIGTERM
