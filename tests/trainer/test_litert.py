"""The LiteRT copy: it is made where it answers as the model does, and left out, with a line, where it does not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tensorflow.lite.python.convert_phase import ConverterError

from trainer import litert, model
from trainer.evaluate import evaluate
from trainer.servable import Servable, from_network

from .conftest import Dataset


@pytest.mark.parametrize("name", model.MODELS)
def test_each_models_copy_answers_as_the_model_does(name: str, dataset: Dataset) -> None:
    servable = from_network(model.build(name))
    _, expected = evaluate(servable.classify, dataset.test)
    copy = litert.checked_copy(servable, dataset.test.images, expected)
    assert copy
    assert (copy.test_examples, copy.max_difference <= litert.BOUND) == (50, True)
    answers, classes = litert.run(copy.model, dataset.test.images)
    np.testing.assert_allclose(answers, expected, rtol=0, atol=copy.max_difference)
    np.testing.assert_array_equal(classes, expected.argmax(1))


@pytest.fixture(scope="module")
def servable() -> Servable:
    return from_network(model.build("linear"))


def test_a_copy_that_answers_otherwise_is_left_out_and_that_is_said(
    servable: Servable, dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    _, expected = evaluate(servable.classify, dataset.test)
    other = from_network(model.build("linear"))
    other._weights[1].assign_add([9.0] + [0.0] * 9)
    assert litert.checked_copy(other, dataset.test.images, expected) is None
    assert capsys.readouterr().out.startswith("No LiteRT copy: it sees ")


def test_a_copy_that_gives_no_numbers_is_left_out(servable: Servable, dataset: Dataset) -> None:
    _, expected = evaluate(servable.classify, dataset.test)
    other = from_network(model.build("linear"))
    other._weights[1].assign([np.nan] * 10)
    assert litert.checked_copy(other, dataset.test.images, expected) is None


def test_a_model_that_cannot_be_converted_has_no_copy_and_the_reason_is_said(
    servable: Servable, dataset: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: Servable) -> bytes:
        raise ConverterError("this operation is none of LiteRT's\nand more")

    monkeypatch.setattr(litert, "convert", refuse)
    assert litert.checked_copy(servable, dataset.test.images, np.zeros((50, 10), np.float32)) is None
    said = capsys.readouterr().out
    assert said == "No LiteRT copy: the model cannot be converted (this operation is none of LiteRT's)\n"


def test_the_copy_stands_beside_what_a_server_must_know_of_it(servable: Servable, tmp_path: Path) -> None:
    copy = litert.Copy(b"model", 1e-7, 50)
    copy.write(tmp_path)
    assert (tmp_path / "model.tflite").read_bytes() == b"model"
    about = json.loads((tmp_path / "litert.json").read_text())
    assert about["signatures"] == ["serving_default", "classes"]
    assert (about["input"], about["forms"]) == ("x", [[28, 28], [784]])
    assert copy.entry() == {"max_difference": 1e-7, "test_examples": 50}
