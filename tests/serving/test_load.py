"""32 clients that never pause, while versions change and the server is asked to reload: nobody notices but by number.

    python -m pytest tests/serving/test_load.py --requests=100000 -s

does the whole of it; in the suite it is a few thousand requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
)

from .conftest import Server, expected, request_for, running

Publish = Callable[..., Path]
CLIENTS, CHANGES = 32, 10
IMAGE = np.random.default_rng(3).random((1, 784), np.float32)
SHARES = expected(IMAGE)[0]
PREDICT = "/tensorflow.serving.PredictionService/Predict"


@dataclass
class Record:
    """What the clients saw, and when each version was published and seen to have ended, in seconds."""

    wanted: int
    published: dict[int, float] = field(default_factory=dict)
    ended: dict[int, float] = field(default_factory=dict)
    answers: list[list[tuple[float, float, int]]] = field(default_factory=list)  # a list a client: sent, came, version
    failures: list[str] = field(default_factory=list)
    reloads: int = 0

    def done(self) -> int:
        return sum(map(len, self.answers)) + len(self.failures)


def test_fault_59_no_request_fails_while_versions_change_ten_times_and_the_server_reloads(
    tmp_path: Path, publish: Publish, pytestconfig: pytest.Config
) -> None:
    record = Record(pytestconfig.getoption("--requests"))
    publish(tmp_path, 1)
    record.published[1] = 0.0
    arguments = ("--model_name=mnist", f"--model_base_path={tmp_path}")
    with running(tmp_path / "log", *arguments) as server:
        server.wait_for_version(1)
        began = time.monotonic()
        asyncio.run(_load(server, tmp_path, publish, record))
        seconds = time.monotonic() - began
    answers = [answer for one in record.answers for answer in one]
    print(f"\n{len(answers)} answers, {len(record.failures)} failures, {record.reloads} reloads, {seconds:.1f} s")
    assert record.failures == []
    assert len(answers) >= record.wanted
    assert {version for *_, version in answers} == set(range(1, CHANGES + 2))
    for one in record.answers:
        assert [version for *_, version in one] == sorted(version for *_, version in one)
    for sent, came, version in answers:
        assert came >= record.published[version], f"version {version} answered before it was there"
        assert sent <= record.ended.get(version, sent), f"version {version} answered after it had ended"


async def _load(server: Server, base: Path, publish: Publish, record: Record) -> None:
    message = request_for(IMAGE).SerializeToString()
    record.answers = [[] for _ in range(CLIENTS)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        change = asyncio.create_task(_change(channel, base, publish, record))
        await asyncio.gather(change, *(_client(server, message, record, index) for index in range(CLIENTS)))


async def _client(server: Server, message: bytes, record: Record, index: int) -> None:
    options = [("number", index)]  # a connection of its own
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        call = channel.unary_unary(PREDICT, response_deserializer=predict_pb2.PredictResponse.FromString)
        while record.done() < record.wanted or len(record.ended) < CHANGES:
            sent = time.monotonic()
            try:
                answer = await call(message, timeout=20)
            except grpc.RpcError as error:
                record.failures.append(f"{error.code()}: {error.details()}")
                continue
            record.answers[index].append((sent, time.monotonic(), answer.model_spec.version.value))
            np.testing.assert_allclose(answer.outputs["predictions"].float_val, SHARES, rtol=0, atol=1e-5)


async def _change(channel: grpc.aio.Channel, base: Path, publish: Publish, record: Record) -> None:
    """Ten new versions, one after each eleventh of the requests; a reload has the server look at once."""
    service = model_service_pb2_grpc.ModelServiceStub(channel)
    reload = model_management_pb2.ReloadConfigRequest()
    reload.config.model_config_list.config.add(name="mnist", base_path=str(base), model_platform="tensorflow")
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "mnist"
    for version in range(2, CHANGES + 2):
        while record.done() < record.wanted * (version - 1) / (CHANGES + 1):
            await asyncio.sleep(0.005)
        record.published[version] = time.monotonic()
        await asyncio.to_thread(publish, base, version)
        states = {}
        while states.get(version - 1) != "END":
            await service.HandleReloadConfigRequest(reload, timeout=20)
            record.reloads += 1
            found = (await service.GetModelStatus(status, timeout=20)).model_version_status
            states = {one.version: one.State.Name(one.state) for one in found}
        record.ended[version - 1] = time.monotonic()
