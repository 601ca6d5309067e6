"""Requests that come in together are computed one right after another, and nobody waits for long or for nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.company import MOST, Company
from serving.errors import ServingError, invalid

FOR_EVER = 60.0


class Bench:
    """Runs coroutines against one Company and notes in which order its requests came in and were computed."""

    def __init__(self, patience: float, expected: int) -> None:
        self.company, self.seen = Company(patience, expected), []

    async def ask(self, number: int) -> int:
        self.seen.append(f"in {number}")
        answer = await self.company.compute(self._compute, number)
        self.seen.append(f"out {number}")
        return answer

    async def together(self, count: int) -> list[int]:
        return await asyncio.gather(*(self.ask(number) for number in range(count)))

    def _compute(self, number: int) -> int:
        self.seen.append(f"computed {number}")
        return number * 2


def run(story: Callable[[Bench], Coroutine[Any, Any, Any]], patience: float = FOR_EVER, expected: int = 1) -> Any:
    async def told() -> Any:
        return await asyncio.wait_for(story(Bench(patience, expected)), 30)

    return asyncio.run(told())


def test_who_is_alone_is_computed_at_once_and_waits_for_nothing() -> None:
    bench = Bench(FOR_EVER, expected=1)
    with pytest.raises(StopIteration) as ended:  # no turn of a loop, nor even a loop
        bench.ask(1).send(None)
    assert ended.value.value == 2


def test_those_that_come_together_are_computed_one_right_after_another() -> None:
    async def story(bench: Bench) -> list[str]:
        await bench.together(4)
        return bench.seen

    seen = run(story, expected=4)
    assert seen == [f"{what} {number}" for what in ("in", "computed", "out") for number in range(4)]


def test_as_many_as_last_time_are_waited_for_and_then_go_without_the_rest_of_the_time() -> None:
    async def story(bench: Bench) -> float:
        began, first = time.perf_counter(), [asyncio.ensure_future(bench.ask(number)) for number in range(3)]
        await asyncio.sleep(0.05)
        assert not any(one.done() for one in first)
        await asyncio.gather(*first, bench.ask(3), bench.ask(4))
        return time.perf_counter() - began

    assert run(story, expected=5) < 5


def test_whom_nobody_joins_waits_as_long_as_is_said_and_after_a_few_times_no_more() -> None:
    async def story(bench: Bench) -> list[float]:
        return [await seconds(bench.ask(1)) for _ in range(8)]

    took = run(story, patience=0.3, expected=MOST)
    assert 0.29 < took[0] < 5
    assert max(took[4:]) < 0.29


def test_a_lone_client_waits_less_often_than_once_in_a_hundred_requests() -> None:
    async def story(bench: Bench) -> int:
        return sum([await seconds(bench.ask(1)) > 0.009 for _ in range(2000)])

    assert run(story, patience=0.01) <= 20


def test_a_refusal_is_its_own_requests_alone() -> None:
    def refuse() -> int:
        raise invalid("no such row")

    async def story(bench: Bench) -> list[object]:
        asked: list[Awaitable[object]] = [bench.ask(1), bench.company.compute(refuse), bench.ask(2)]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, refused, second = run(story, expected=3)
    assert (first, second) == (2, 4)
    assert isinstance(refused, ServingError)
    assert refused.message == "no such row"


def test_a_mistake_of_ours_is_reported_and_leaves_nobody_waiting() -> None:
    reported: list[object] = []

    async def story(bench: Bench) -> list[object]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))
        asked: list[Awaitable[object]] = [bench.ask(1), bench.company.compute(lambda: 1 // 0), bench.ask(2)]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, broken, second = run(story, expected=3)
    assert (first, second) == (2, 4)
    assert isinstance(broken, ServingError)
    assert [type(one) for one in reported] == [ZeroDivisionError]


def test_whose_client_has_gone_is_not_computed() -> None:
    async def story(bench: Bench) -> list[str]:
        asked = [asyncio.ensure_future(bench.ask(number)) for number in range(2)]
        await asyncio.sleep(0)
        asked[0].cancel()
        await asyncio.gather(*asked, bench.ask(2), return_exceptions=True)
        return bench.seen

    assert [one for one in run(story, expected=3) if one.startswith("computed")] == ["computed 1", "computed 2"]


@given(st.lists(st.lists(st.integers(0, 3), max_size=40), max_size=6))
def test_however_they_come_each_gets_its_own_answer(rounds: list[list[int]]) -> None:
    """Each request lets so many turns of the loop pass before it asks."""

    async def late(bench: Bench, number: int, turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return await bench.ask(number)

    async def story(bench: Bench) -> list[list[int]]:
        return [
            await asyncio.gather(*(late(bench, number, turns) for number, turns in enumerate(one))) for one in rounds
        ]

    assert run(story, patience=0.001) == [[number * 2 for number in range(len(one))] for one in rounds]


async def seconds(asked: Awaitable[object]) -> float:
    began = time.perf_counter()
    await asked
    return time.perf_counter() - began
