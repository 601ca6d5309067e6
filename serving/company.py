"""Requests that come in at about the same time, computed one right after another.

A row that takes 0.02 ms takes 0.1 ms where each is computed between the reading and the sending of others: by then the
processor's caches hold neither the weights nor the code (measured: `fast`). Whoever is alone waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from serving.errors import Code, ServingError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MOST = 16
"""Requests that are waited for; those that come in at the same moment are taken too."""

# Fewer than so many gain less than they lose by the wait.
_LEAST = 3

# Seconds that a request waits for company at most.
_PATIENCE = 2e-3

# Requests after which more are waited for than last time: too rare to be seen in 99 of 100 answers.
_TRIAL = 1024


class Company:
    """Waits for as many as came together lately. For the event loop alone."""

    def __init__(self, patience: float = _PATIENCE, expected: int = 1) -> None:
        """`patience` is how many seconds a request waits for company at most, `expected` how many come at first."""
        self._patience = patience
        self._waiting: list[tuple[asyncio.Future, Callable, tuple]] = []
        self._expected, self._until_trial = expected, _TRIAL

    async def compute(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """What the function gives or raises; others that wait are computed right before or after it."""
        if self._expected < _LEAST and not self._waiting:
            self._learn(self._expected)
            return function(*args)
        loop = asyncio.get_running_loop()
        if not self._waiting:
            self._timer = loop.call_later(self._patience, self._go)
            loop.call_soon(self._look)
        answer: asyncio.Future[T] = loop.create_future()
        self._waiting.append((answer, function, args))
        if len(self._waiting) == self._expected:
            loop.call_soon(self._look)  # and not at once: who has come in meanwhile joins
        return await answer

    def _look(self) -> None:
        if len(self._waiting) >= self._expected:
            self._timer.cancel()
            self._go()

    def _go(self) -> None:
        taken, self._waiting = self._waiting, []
        self._learn(len(taken))
        for one in taken:
            asyncio.get_running_loop().call_soon(_answer, *one)  # one after another, in the loop's next turn

    def _learn(self, came: int) -> None:
        """Expect as many as came; now and then twice as many, for as long as these come, and else half as many."""
        self._until_trial -= came
        if came < self._expected:
            self._expected, self._until_trial = max(came, self._expected // 2), _TRIAL
        elif self._until_trial <= 0 and came < MOST:
            self._expected = min(MOST, 2 * max(came, 2))  # and twice as many again next time, if these come
        else:
            self._expected = min(MOST, max(came, self._expected))


def _answer(answer: asyncio.Future[T], function: Callable[[*Ts], T], args: tuple[*Ts]) -> None:
    if answer.done():  # the client has gone
        return
    try:
        answer.set_result(function(*args))
    except ServingError as error:
        answer.set_exception(error)
    finally:
        if not answer.done():  # a mistake of ours, which the loop reports: nobody is to wait for ever
            answer.set_exception(ServingError(Code.INTERNAL, "the model could not be asked"))
