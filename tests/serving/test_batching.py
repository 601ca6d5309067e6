"""What TensorFlow computes in one call for several requests: each gets its own answer, or its own refusal."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from serving.batching import Batches, together
from serving.errors import ServingError, invalid
from serving.messages import DataType, ModelVersionStatus, PredictRequest, SignatureDef, TensorInfo
from serving.models import Servable
from serving.signatures import Signature
from serving.tensors import fill

FLOAT = TensorInfo(dtype=DataType.DT_FLOAT)


class Doubling:
    """Gives twice its input, notes how many rows each call had, refuses a call with a negative row, and can be held."""

    signatures: Mapping[str, Signature] = {
        "serving_default": Signature.of(SignatureDef(inputs={"x": FLOAT}, outputs={"y": FLOAT, "z": FLOAT}))
    }
    joins = True

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def quick(self, rows: int) -> bool:
        return False

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        self.go.wait(10)
        self.calls.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise invalid("a row is negative")
        return dict.fromkeys(outputs, inputs["x"] * 2)

    def close(self) -> None:
        pass


@pytest.fixture
def servable() -> Servable:
    return Servable("m", 3, ModelVersionStatus.State.AVAILABLE, model=Doubling())


def request(*rows: float, outputs: Sequence[str] = (), width: int = 2) -> PredictRequest:
    made = PredictRequest(output_filter=outputs)
    made.model_spec.name = "m"
    fill(made.inputs["x"], np.array([[row] * width for row in rows], np.float32).reshape(-1, width))
    return made


def values(answer: object) -> list:
    return str(answer) if isinstance(answer, ServingError) else answer.outputs["y"][:, 0].tolist()


def test_requests_of_one_form_are_one_call_and_each_gets_its_rows(servable: Servable) -> None:
    answers = together(servable, [request(1, 2), request(3), request(4, 5, 6)])
    assert [values(one) for one in answers] == [[2, 4], [6], [8, 10, 12]]
    assert servable.model.calls == [6]
    assert answers[0].servable.version == 3


def test_requests_of_other_forms_are_calls_of_their_own(servable: Servable) -> None:
    answers = together(servable, [request(1), request(2, width=5), request(3, outputs=["y"]), request(4)])
    assert [values(one) for one in answers] == [[2], [4], [6], [8]]
    assert sorted(servable.model.calls) == [1, 1, 2]
    assert list(answers[2].outputs) == ["y"]


def test_what_the_model_refuses_spoils_no_other_request(servable: Servable) -> None:
    answers = together(servable, [request(1), request(-2), request(3)])
    assert [values(one) for one in answers] == [[2], "a row is negative", [6]]


def test_what_cannot_be_asked_spoils_no_other_request(servable: Servable) -> None:
    wrong = request(2)
    wrong.output_filter.append("nope")
    answers = together(servable, [wrong, request(3)])
    assert [values(one) for one in answers][1] == [6]
    assert "output tensor alias not found in signature: nope" in str(answers[0])


def test_a_request_without_rows_is_a_call_of_its_own(servable: Servable) -> None:
    answers = together(servable, [request(1), request(), request(2)])
    assert [values(one) for one in answers] == [[2], [], [4]]


def test_what_comes_in_while_all_compute_is_taken_together_and_a_lone_request_waits_for_nobody(
    servable: Servable,
) -> None:
    async def ask() -> tuple[list, list]:
        with ThreadPoolExecutor(2) as workers:
            batches = Batches(workers, 1)
            first = values(await batches.predict(servable, request(1)))
            servable.model.go.clear()
            tasks = [asyncio.create_task(batches.predict(servable, request(2)))]
            await asyncio.sleep(0.05)  # it computes
            tasks += [asyncio.create_task(batches.predict(servable, request(row))) for row in range(3, 12)]
            await asyncio.sleep(0.05)
            servable.model.go.set()
            later = [values(one) for one in await asyncio.gather(*tasks)]
            assert not batches._waiting
            assert not batches._running
            return first, later

    first, later = asyncio.run(ask())
    assert first == [2]
    assert later == [[2 * row] for row in range(2, 12)]
    assert servable.model.calls == [1, 1, 9]


def test_a_client_that_has_gone_spoils_no_other_request(servable: Servable) -> None:
    async def ask() -> list:
        with ThreadPoolExecutor(2) as workers:
            batches = Batches(workers, 1)
            servable.model.go.clear()
            tasks = [asyncio.create_task(batches.predict(servable, request(row))) for row in (1, 2, 3)]
            await asyncio.sleep(0.05)
            tasks[0].cancel()
            tasks[2].cancel()
            servable.model.go.set()
            return values(await tasks[1])

    assert asyncio.run(ask()) == [4]
