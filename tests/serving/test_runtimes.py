"""LiteRT where a version has a copy for it, TensorFlow where it has none: the same answers, and who is loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.backend import LoadError
from serving.errors import ServingError
from serving.litert_backend import LiteRTModel
from serving.runtimes import Runtimes
from serving.tensorflow_backend import TensorFlowModel
from trainer import litert, model
from trainer.servable import from_network

from .conftest import REPO, expected

BOTH = ["classes", "predictions"]
IMAGES = np.random.default_rng(5).random((70, 28, 28), np.float32)


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version of the model `fast`, untrained."""
    folder = tmp_path_factory.mktemp("fast")
    servable = from_network(model.build("fast"))
    servable.save(str(folder))
    (folder / "assets.extra").mkdir()
    litert.Copy(litert.convert(servable), 0.0, 0).write(folder / "assets.extra")
    return folder


@pytest.mark.parametrize("rows", [1, 3, 32, 33, 70])
@pytest.mark.parametrize("form", [(28, 28), (784,)])
def test_both_runtimes_give_the_same_answers(fast: Path, rows: int, form: tuple[int, ...]) -> None:
    inputs = {"x": IMAGES[:rows].reshape(rows, *form)}
    quick = Runtimes().load(fast)
    assert isinstance(quick, LiteRTModel)
    ours = quick.predict(inputs, "classes", BOTH)
    theirs = TensorFlowModel(fast, quick.signatures).predict(inputs, "classes", BOTH)
    np.testing.assert_allclose(ours["predictions"], theirs["predictions"], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(ours["classes"], theirs["classes"], strict=True)


@pytest.mark.parametrize("shape", [(), (784,), (1, 785), (1, 28, 27), (1, 1, 784), (0, 784), (0, 28, 28)])
def test_fault_55_both_refuse_the_same_forms_and_an_empty_batch_in_the_same_words(
    exported: Path, shape: tuple[int, ...]
) -> None:
    inputs = {"x": np.zeros(shape, np.float32)}
    said = []
    quick = Runtimes().load(exported)
    for one in (quick, TensorFlowModel(exported, quick.signatures)):
        with pytest.raises(ServingError) as caught:
            one.predict(inputs, "serving_default", BOTH)
        said.append((caught.value.code, caught.value.message.splitlines()[0]))
    assert said[0] == said[1]


def test_fault_55_what_is_no_number_gives_no_number_and_nothing_else_suffers(exported: Path) -> None:
    images = IMAGES[:3].copy()
    images[1] = np.nan
    answers = Runtimes().load(exported).predict({"x": images}, "classes", BOTH)["predictions"]
    assert np.isnan(answers[1]).all()
    np.testing.assert_allclose(answers[[0, 2]], expected(images[[0, 2]]), rtol=0, atol=1e-5)


def test_a_version_without_a_copy_is_run_by_tensorflow(without_copy: Path) -> None:
    loaded = Runtimes().load(without_copy)
    assert isinstance(loaded, TensorFlowModel)
    answers = loaded.predict({"x": IMAGES}, "serving_default", BOTH)
    np.testing.assert_allclose(answers["predictions"], expected(IMAGES), rtol=0, atol=1e-5)


def test_a_version_with_a_copy_loads_no_tensorflow(exported: Path) -> None:
    program = (
        "import sys, pathlib; from serving.runtimes import Runtimes; import serving.server, serving.rest_api;"
        "Runtimes().load(pathlib.Path(sys.argv[1])); print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    argv = [sys.executable, "-c", program, str(exported)]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False False\n", "")


def about(**changes: object) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        path = folder / "assets.extra" / "litert.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return write


USELESS: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (lambda at: (at / "assets.extra/model.tflite").write_bytes(b"TFL3" * 50), ""),
    "nothing about it": (lambda at: (at / "assets.extra/litert.json").unlink(), "No such file"),
    "no JSON": (lambda at: (at / "assets.extra/litert.json").write_text("{"), "Expecting"),
    "another form": (about(forms=7), "litert.json is not of the contract's form"),
    "no form": (about(forms=[]), "names no signature, or no form of a row"),
    "forms of two sizes": (about(forms=[[28, 28], [785]]), "the forms of a row have different sizes"),
    "forms that it does not take": (about(forms=[[27, 28], [756]]), ""),
    "another input": (about(input="y"), 'its inputs or outputs are not those of signature "'),
    "one signature only": (about(signatures=["classes"]), 'it does not stand for signature "serving_default"'),
}


@pytest.mark.parametrize("case", USELESS)
def test_a_copy_that_is_of_no_use_is_said_to_be_so_and_tensorflow_runs_the_version(
    exported: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    damage, reason = USELESS[case]
    damage(shutil.copytree(exported, tmp_path / "7"))
    assert isinstance(Runtimes().load(tmp_path / "7"), TensorFlowModel)
    (record,) = (one for one in caplog.records if one.name == "serving")
    assert record.message.startswith("version 7 has a LiteRT copy that is of no use (")
    assert reason in record.message


def test_on_a_machine_without_litert_tensorflow_runs_the_version_and_the_log_says_so(
    exported: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("serving.litert_backend", "ai_edge_litert.interpreter"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    assert isinstance(Runtimes().load(exported), TensorFlowModel)
    assert "has a LiteRT copy, but TensorFlow runs it" in caplog.records[0].message


class Averaging(tf.Module):
    """A model that a row's company changes."""

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
    def run(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x - tf.reduce_mean(x, axis=0)}


def test_rows_are_joined_only_where_company_does_not_change_an_answer(without_copy: Path, tmp_path: Path) -> None:
    assert Runtimes().load(without_copy).joins
    one = Averaging()
    tf.saved_model.save(one, str(tmp_path), signatures={"serving_default": one.run.get_concrete_function()})
    assert not Runtimes().load(tmp_path).joins


ALIEN: dict[str, tuple[bytes | None, str]] = {
    "no file": (None, "saved_model.pb cannot be read (No such file or directory)"),
    "empty": (b"", 'saved_model.pb has no graph with the tag "serve"'),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "saved_model.pb is no SavedModel"),
    "text": (b"model_config_list {}", "saved_model.pb is no SavedModel"),
}


@pytest.mark.parametrize("case", ALIEN)
def test_what_is_no_saved_model_is_refused_in_half_a_sentence(tmp_path: Path, case: str) -> None:
    content, reason = ALIEN[case]
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(LoadError, match="^" + reason.replace("(", r"\(").replace(")", r"\)")):
        Runtimes().load(tmp_path)
