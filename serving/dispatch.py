"""Where requests are computed: at once on the event loop, on a worker thread, or there together with others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from serving import handlers, predicting
from serving.batching import MAX_JOINED_ROWS, Batches
from serving.company import MOST, Company
from serving.messages import PredictRequest
from serving.models import Models
from serving.predicting import Answer

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Dispatch:
    """The one way to the models, for gRPC and REST, with as many threads as there are cores. For the event loop."""

    def __init__(self, models: Models) -> None:
        threads = max(2, os.cpu_count() or 2)
        self._models, self._workers = models, ThreadPoolExecutor(threads, thread_name_prefix="predict")
        self._batches, self._company = Batches(self._workers, threads), Company()

    async def predict(self, request: PredictRequest) -> Answer:
        """Compute here when that is quick, else on a worker thread, together with others where that saves time."""
        with handlers.leased(self._models, request) as servable:
            rows = predicting.rows(request)
            if servable.model.quick(rows * MOST):
                return await self._company.compute(predicting.predict, servable, request)
            if servable.model.quick(rows):
                return predicting.predict(servable, request)
            if servable.model.joins and rows <= MAX_JOINED_ROWS:
                return await self._batches.predict(servable, request)
            return await self.apart(predicting.predict, servable, request)

    async def apart(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """What the function gives, on a worker thread: the loop goes on meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, function, *args)

    def close(self) -> None:
        """Begin nothing more."""
        self._workers.shutdown(wait=False, cancel_futures=True)
