"""The load generator: starts one server, waits for its first right answer, asks it with 1, 8, 32 clients, ends it.

A process of its own. Each client sends its next request when it has read the answer to its last; every answer is
checked. What it measures it prints as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import psutil
from google.protobuf.message import DecodeError

from pipeline.bench.meter import busy, memory
from pipeline.bench.plans import Load, Phase, Plan
from pipeline.bench.talk import NO_ANSWER, Ask, listens, said, talk
from pipeline.bench.wire import WAYS, Question, Way, questions
from pipeline.errors import RunFailed
from pipeline.processes import end

PATIENCE = 120.0
"""Seconds from a server's start to its first right answer."""


async def loaded(plan: Plan) -> Load:
    """Carry a plan out; raises RunFailed for a server that ends, is silent, or answers anything wrong."""
    way = WAYS[plan.way]
    asked = questions(way, Path(plan.served))
    with Path(plan.log).open("wb") as log:
        began = time.perf_counter()
        child = subprocess.Popen(plan.argv, cwd=plan.cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    server = psutil.Process(child.pid)
    try:
        await first_answer(child, plan, way, asked[0], began + PATIENCE)
        cold = time.perf_counter() - began
        async with talk(way, plan.port) as ask:
            await together(ask, way, asked, 1, plan.phases[0][1] / 5)  # warm
            before, at = busy() - spent(server) - time.process_time(), time.perf_counter()
            phases = [await phase(ask, way, asked, server, *one) for one in plan.phases]
            others = busy() - spent(server) - time.process_time() - before
        share = max(0.0, others) / ((time.perf_counter() - at) * (os.cpu_count() or 1))
        return Load(cold, phases, memory(server) / 1e6, share)
    except NO_ANSWER as error:
        raise RunFailed(f"no answer: {said(error)}; its last words: {last_words(plan.log)}") from None
    finally:
        end([*server.children(recursive=True), server] if child.poll() is None else [], grace=5)
        child.wait()


async def first_answer(child: subprocess.Popen[bytes], plan: Plan, way: Way, question: Question, until: float) -> None:
    """Ask until the server answers; raises RunFailed where it ends, answers wrong, or is silent for PATIENCE."""
    why = "nobody listens"
    while True:
        if child.poll() is not None:
            raise RunFailed(f"the server ended with {child.returncode}; its last words: {last_words(plan.log)}")
        if time.perf_counter() > until:
            raise RunFailed(f"no answer within {PATIENCE:g} s ({why}); its last words: {last_words(plan.log)}")
        if listens(plan.port):
            try:
                async with talk(way, plan.port) as ask:
                    return check(way, question, await ask(question.body))
            except NO_ANSWER as error:
                why = said(error)
        await asyncio.sleep(0.005)


async def phase(
    ask: Ask, way: Way, asked: Sequence[Question], server: psutil.Process, clients: int, seconds: float
) -> Phase:
    """Ask with so many clients for so long."""
    began, server_before, own_before = time.perf_counter(), spent(server), time.process_time()
    took = await together(ask, way, asked, clients, seconds)
    wall, count = time.perf_counter() - began, len(took)
    half, most = np.percentile(took, [50, 99]) * 1000
    cpu = [1000 * used / count for used in (spent(server) - server_before, time.process_time() - own_before)]
    return Phase(clients, count / wall, float(half), float(most), *cpu)


async def together(ask: Ask, way: Way, asked: Sequence[Question], clients: int, seconds: float) -> list[float]:
    """The seconds that each answer took; each client begins with another image."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def one(number: int) -> None:
        while (began := time.perf_counter()) < until:
            question = asked[number % len(asked)]
            answer = await ask(question.body)
            took.append(time.perf_counter() - began)
            check(way, question, answer)
            number += 1

    await asyncio.gather(*(one(client * len(asked) // clients) for client in range(clients)))
    return took


def check(way: Way, question: Question, answer: bytes) -> None:
    """Raises RunFailed where an answer is not the right one."""
    try:
        seen = way.seen(answer)
    except (ValueError, LookupError, TypeError, AttributeError, DecodeError):
        raise RunFailed(f"its answer cannot be read: {answer[:200]!r}") from None
    if seen != question.expected:
        raise RunFailed(f"it saw {seen!r:.40} where {question.expected!r:.40} would be right")


def spent(server: psutil.Process) -> float:
    """Seconds of processor time that a server and all below it have had."""
    return float(sum(sum(one.cpu_times()[:2]) for one in (server, *server.children(recursive=True))))


def last_words(log: str) -> str:
    """The end of what the server printed."""
    lines = Path(log).read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-3:])[-600:] or "none"


def main(plan: str) -> int:
    """Carry out the plan in a file; the exit code is 1, with a sentence, where that fails."""
    try:
        print(json.dumps(asdict(asyncio.run(loaded(Plan(**json.loads(Path(plan).read_text())))))))
    except RunFailed as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
