"""Clients that take their time, that send much, or that are many: the others are answered all the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message

from serving import grpc_api, rest_bodies, server
from serving.configs import ModelConfig
from serving.dispatch import Dispatch
from serving.loader import Loader
from serving.messages import PredictRequest
from serving.metrics import Metrics
from serving.models import Models
from serving.rest_api import RestServer
from serving.runtimes import Runtimes

PATIENCE = 0.4
BODY = json.dumps({"instances": np.zeros((1, 784)).tolist()}).encode()
HEAD = f"POST /v1/models/mnist:predict HTTP/1.1\r\nHost: here\r\nContent-Length: {len(BODY)}\r\n".encode()


@contextlib.asynccontextmanager
async def rest(base: Path) -> AsyncIterator[int]:
    """The HTTP side in this process, with little patience; gives its port."""
    models = Models()
    loader = Loader(models, Runtimes())
    loader.configure([ModelConfig("mnist", base)])
    sock = socket.create_server(("127.0.0.1", 0))
    dispatch = Dispatch(models)
    side = RestServer(models, Metrics(loader.names), None, dispatch, PATIENCE)
    await side.start(sock)
    yield sock.getsockname()[1]
    await side.stop(1)
    dispatch.close()


async def reply(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """What comes back until the server closes, with a pause before every part but the first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        for index, part in enumerate(parts):
            await asyncio.sleep(pause if index else 0)
            writer.write(part)
            await writer.drain()
    answer = b""
    with contextlib.suppress(ConnectionError):
        answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


@pytest.fixture
def base(tmp_path: Path, publish: Callable[[Path, int], Path]) -> Path:
    publish(tmp_path, 7)
    return tmp_path


def test_a_connection_on_which_requests_come_again_and_again_is_kept(base: Path) -> None:
    whole = HEAD + b"\r\n" + BODY

    async def ask() -> int:
        async with rest(base) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            answers, end = 0, time.monotonic() + 4 * PATIENCE
            while time.monotonic() < end:
                writer.write(whole)
                head = await reader.readuntil(b"\r\n\r\n")  # IncompleteReadError where the server has cut it off
                length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length"))
                await reader.readexactly(int(length.split(b":")[1]))
                answers += head.startswith(b"HTTP/1.1 200")
                await asyncio.sleep(PATIENCE / 10)
            writer.close()
            return answers

    assert asyncio.run(ask()) > 3


def asked(base: Path, *parts: bytes, pause: float = 0.0) -> bytes:
    async def ask() -> bytes:
        async with rest(base) as port:
            return await reply(port, *parts, pause=pause)

    return asyncio.run(ask())


def test_a_request_in_pieces_is_answered(base: Path) -> None:
    close = b"Connection: close\r\n\r\n"
    assert asked(base, HEAD, close, BODY[:100], BODY[100:], pause=0.05).startswith(b"HTTP/1.1 200")


def test_who_waits_for_a_word_before_a_body_gets_it(base: Path) -> None:
    heads = HEAD + b"Expect: 100-continue\r\nConnection: close\r\n\r\n"

    async def ask() -> tuple[bytes, bytes]:
        async with rest(base) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(heads)
            word = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE / 2)
            writer.write(BODY)
            answer = await reader.read()
            writer.close()
            return word, answer

    word, answer = asyncio.run(ask())
    assert word == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"}\n    ]\n}")


def test_who_expects_anything_else_is_told_so(base: Path) -> None:
    said = asked(base, HEAD + b"Expect: more\r\nConnection: close\r\n\r\n" + BODY)
    assert said.startswith(b"HTTP/1.1 417")
    assert said.endswith(b'{"error": "Unknown Expect: more"}')


@pytest.mark.timed
def test_headers_that_never_end_are_cut(base: Path) -> None:
    began = time.monotonic()
    assert asked(base, HEAD) == b""
    assert PATIENCE < time.monotonic() - began < 5


def test_a_body_that_never_comes_is_told_so(base: Path) -> None:
    said = asked(base, HEAD + b"\r\n", BODY[:10])
    assert said.startswith(b"HTTP/1.1 408")
    assert said.endswith(b'{"error": "The body did not come in within 0.4 s"}')


def test_a_connection_that_says_nothing_is_cut_over_grpc_too() -> None:
    async def ask() -> bytes:
        side = grpc.aio.server(options=server.options(PATIENCE))
        port = side.add_insecure_port("127.0.0.1:0")
        await side.start()
        said = await reply(port)
        await side.stop(None)
        return said

    began = time.monotonic()
    asyncio.run(ask())
    assert PATIENCE / 2 < time.monotonic() - began < 8


def test_three_hundred_slow_clients_keep_nobody_waiting(base: Path) -> None:
    async def ask() -> tuple[bytes, int]:
        async with rest(base) as port:
            slow = [asyncio.create_task(reply(port, HEAD + b"\r\n", BODY[:1])) for _ in range(150)]
            slow += [asyncio.create_task(reply(port, HEAD)) for _ in range(150)]
            await asyncio.sleep(0.05)
            answer = await reply(port, HEAD + b"Connection: close\r\n\r\n" + BODY)
            return answer, len(await asyncio.gather(*slow))

    answer, ended = asyncio.run(ask())
    assert answer.startswith(b"HTTP/1.1 200")
    assert ended == 300


def test_more_than_the_bodies_may_hold_together_is_told_to_come_again(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest_bodies, "MAX_BODIES_BYTES", 30_000)

    async def ask() -> list[bytes]:
        length = f"Connection: close\r\nContent-Length: {20_000}\r\n\r\n".encode()
        head = b"POST /v1/models/mnist:predict HTTP/1.1\r\nHost: here\r\n" + length
        async with rest(base) as port:
            return await asyncio.gather(*(reply(port, head, b" " * 19_000, b" " * 1000, pause=0.1) for _ in range(2)))

    statuses = sorted(answer.split(b" ")[1] for answer in asyncio.run(ask()))
    assert statuses == [b"400", b"503"]  # nothing but spaces is no JSON


def test_a_body_without_a_length_is_bounded_too(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_bodies, "MAX_BODY_BYTES", 10_000)
    head = b"POST /v1/models/mnist:predict HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert asked(base, head, b"4e20\r\n" + b" " * 20_000 + b"\r\n").startswith(b"HTTP/1.1 413")


def test_calls_beyond_what_the_server_takes_at_a_time_are_told_so_and_the_others_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grpc_api, "MAX_CALLS", 3)

    async def ask() -> list[grpc.StatusCode]:
        go = asyncio.Event()

        async def wait(request: Message) -> Message:
            await go.wait()
            return request

        opened = grpc.aio.server()
        port = opened.add_insecure_port("127.0.0.1:0")
        methods = {"Wait": grpc_api.unary(wait, PredictRequest, PredictRequest, grpc_api.Running())}
        opened.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", methods),))
        await opened.start()
        channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("number", index)]) for index in range(5)]
        calls = [channel.unary_unary("/Test/Wait")(b"", timeout=20) for channel in channels]
        codes = [asyncio.create_task(call.code()) for call in calls]
        await asyncio.wait(codes, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.2)
        go.set()
        await asyncio.wait(codes)
        for channel in channels:
            await channel.close()
        await opened.stop(None)
        return [code.result() for code in codes]

    codes = asyncio.run(ask())
    assert sorted(code.name for code in codes) == ["OK"] * 3 + ["RESOURCE_EXHAUSTED"] * 2
