"""Several Predict requests in one call of TensorFlow, whose calls cost more than their rows.

No request waits for company: what comes in while all workers compute is what the next of them takes together. So the
longest wait is that for one call.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import Executor

import numpy as np

from serving import predicting
from serving.errors import Code, ServingError
from serving.messages import PredictRequest
from serving.models import Servable
from serving.predicting import Answer, Call

Outcome = Answer | ServingError

# What has more rows is large enough by itself.
MAX_JOINED_ROWS = 8

_REQUESTS = 32  # in one call: with 64 a call takes twice as long, and no more are answered in a second


class Batches:
    """The requests that wait, by version. For the event loop alone; the models compute on the workers."""

    def __init__(self, workers: Executor, at_once: int) -> None:
        self._workers, self._at_once = workers, at_once
        self._waiting: defaultdict[Servable, deque[tuple[PredictRequest, asyncio.Future]]] = defaultdict(deque)
        self._running: defaultdict[Servable, set[asyncio.Task]] = defaultdict(set)

    async def predict(self, servable: Servable, request: PredictRequest) -> Answer:
        """The answer; whoever asks holds a lease of the version."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[servable].append((request, answer))
        if len(self._running[servable]) < self._at_once:
            self._running[servable].add(asyncio.create_task(self._work(servable)))
        return await answer

    async def _work(self, servable: Servable) -> None:
        """Answer until nothing waits."""
        waiting = self._waiting[servable]
        while waiting:
            await self._answer(servable, [waiting.popleft() for _ in range(min(len(waiting), _REQUESTS))])
        self._running[servable].discard(asyncio.current_task())
        if not self._running[servable]:
            del self._running[servable], self._waiting[servable]

    async def _answer(self, servable: Servable, taken: list[tuple[PredictRequest, asyncio.Future]]) -> None:
        requests, futures = zip(*taken, strict=True)
        run = asyncio.get_running_loop().run_in_executor
        try:
            for future, answer in zip(futures, await run(self._workers, together, servable, requests), strict=True):
                if not future.done():  # else the client has gone
                    (future.set_exception if isinstance(answer, ServingError) else future.set_result)(answer)
        finally:
            for future in futures:
                if not future.done():  # a mistake of ours, which the loop reports: nobody is to wait for ever
                    future.set_exception(ServingError(Code.INTERNAL, "the model could not be asked"))


def together(servable: Servable, requests: Sequence[PredictRequest]) -> list[Outcome]:
    """An answer or a refusal for each request; those of one form are computed in one call."""
    answers: dict[int, Outcome] = {}
    groups: defaultdict[Hashable, dict[int, Call]] = defaultdict(dict)
    for index, request in enumerate(requests):
        try:
            call = predicting.checked(servable, request)
        except ServingError as error:
            answers[index] = error
        else:
            groups[_form(call, index)][index] = call
    for calls in groups.values():
        answers |= zip(calls, _in_one_call(servable, list(calls.values())), strict=True)
    return [answers[index] for index in range(len(requests))]


def _form(call: Call, index: int) -> Hashable:
    """Equal where calls can be joined: the same but for the number of rows. One without rows is alone."""
    shapes = tuple((alias, array.shape[1:]) for alias, array in call.inputs.items())
    rows = {array.shape[:1] for array in call.inputs.values()}
    alone = index if len(rows) != 1 or rows & {(), (0,)} else None
    return call.signature, tuple(call.outputs), shapes, alone


def _in_one_call(servable: Servable, calls: Sequence[Call]) -> Iterator[Outcome]:
    """The calls' answers; each call by itself where there is one or where together they are refused."""
    first = calls[0]
    inputs = first.inputs if len(calls) == 1 else _joined(calls)
    try:
        outputs = servable.model.predict(inputs, first.signature, first.outputs)
    except ServingError as error:
        if len(calls) == 1:
            yield error
        else:
            for call in calls:
                yield from _in_one_call(servable, [call])
        return
    end = 0
    for call in calls:
        if len(calls) > 1:
            start, end = end, end + len(next(iter(call.inputs.values())))
        share = outputs if len(calls) == 1 else {alias: array[start:end] for alias, array in outputs.items()}
        yield predicting.answer(servable, call, share)


def _joined(calls: Sequence[Call]) -> dict[str, np.ndarray]:
    return {alias: np.concatenate([call.inputs[alias] for call in calls]) for alias in calls[0].inputs}
