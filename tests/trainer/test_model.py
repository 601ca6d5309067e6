"""The models: their sizes, and what is served of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from trainer import model, servable
from trainer.evaluate import evaluate, measure
from trainer.options import Options
from trainer.train import Trainer

from .conftest import Dataset


@pytest.mark.parametrize(
    ("name", "count"), [("cnn", 3_274_634), ("linear", 7_850), ("fast", 106_122), ("accurate", 83_370)]
)
def test_each_model_has_its_parameters(name: str, count: int) -> None:
    network = model.build(name)
    assert network.count_params() == count
    assert network(np.zeros((2, 28, 28, 1), np.float32)).shape == (2, 10)


def test_bfloat16_keeps_the_weights_in_float32() -> None:
    network = model.build("linear", "bfloat16")
    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert network(np.zeros((1, 28, 28, 1), np.float32)).dtype == tf.bfloat16
    assert model.build("linear")(np.zeros((1, 28, 28, 1), np.float32)).dtype == tf.float32


def test_a_layer_too_many_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model.PARAMETERS, "linear", 7_849)
    with pytest.raises(AssertionError, match="7850 parameters, 7849 are meant"):
        model.build("linear")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    servable.from_network(model.build("fast")).save(str(folder))
    return folder


def test_the_saved_model_has_both_signatures_and_both_inputs(saved: Path) -> None:
    loaded = tf.saved_model.load(str(saved))
    images = np.random.default_rng(1).random((3, 28, 28), np.float32)
    assert set(loaded.signatures) == {"serving_default", "classes"}
    answers = [
        loaded.signatures[name](x=tf.constant(form))
        for name in loaded.signatures
        for form in (images, images.reshape(3, 784))
    ]
    for answer in answers:
        assert answer["predictions"].dtype == tf.float32
        assert answer["classes"].dtype == tf.int64
        np.testing.assert_array_equal(answer["predictions"], answers[0]["predictions"])
        np.testing.assert_array_equal(answer["classes"], np.argmax(answer["predictions"], 1))
        np.testing.assert_allclose(np.sum(answer["predictions"], 1), 1, rtol=1e-5)


@pytest.mark.parametrize("shape", [(784,), (2, 392), (1, 28, 28, 1), (1, 14, 56), (0, 784), ()])
def test_an_input_of_another_form_is_refused(saved: Path, shape: tuple[int, ...]) -> None:
    loaded = tf.saved_model.load(str(saved))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"x must be \[N, 28, 28\] or \[N, 784\]"):
        loaded.signatures["serving_default"](x=tf.zeros(shape))


def test_the_saved_model_holds_the_weights_once_and_no_optimizer(saved: Path) -> None:
    listed = tf.train.list_variables(str(saved / "variables" / "variables"))
    assert sum(int(np.prod(shape)) for name, shape in listed if "OBJECT_GRAPH" not in name) == 106_122


def test_what_is_served_computes_in_float32_whatever_trained_it() -> None:
    trained, plain = model.build("fast", "bfloat16"), model.build("fast")
    plain.set_weights(trained.get_weights())
    images = np.random.default_rng(1).random((5, 28, 28), np.float32)
    served = servable.from_network(trained)
    answer = served.classify(tf.constant(images))["predictions"]
    np.testing.assert_allclose(answer, tf.nn.softmax(plain(images[..., np.newaxis])), rtol=1e-5)


def test_the_metrics_of_a_small_case_are_right() -> None:
    labels = np.array([0, 0, 1, 9], np.uint8)
    probabilities = np.full((4, 10), 0.05)
    probabilities[np.arange(4), [0, 1, 1, 9]] = 0.55
    metrics = measure(probabilities, labels)
    assert (metrics.test_accuracy, metrics.test_examples) == (0.75, 4)
    assert metrics.test_loss == pytest.approx(-(3 * np.log(0.55) + np.log(0.05)) / 4)
    assert metrics.per_class_accuracy == [0.5, 1.0, *[0.0] * 7, 1.0]
    assert metrics.confusion_matrix[0] == [
        1,
        1,
        *[0] * 8,
    ]  # a 0 was taken for a 1: row truth, column predicted
    assert np.sum(metrics.confusion_matrix) == 4


def test_every_test_image_is_evaluated(dataset: Dataset) -> None:
    served = servable.from_network(model.build("linear"))
    metrics, probabilities = evaluate(served.classify, dataset.test)
    assert metrics.test_examples == 50
    assert probabilities.shape == (50, 10)
    assert metrics == measure(probabilities, dataset.test.labels)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", model.MODELS)
def test_the_export_answers_bit_for_bit_as_the_model_that_was_evaluated(
    name: str, precision: str, dataset: Dataset, tmp_path: Path
) -> None:
    trainer = Trainer(Options(model_type=name, train_steps=3, batch_size=16), dataset.train, precision)
    trainer.run(3, lambda: False)
    evaluated = servable.from_network(trainer.network)
    evaluated.save(str(tmp_path))
    exported = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    images = tf.constant(dataset.test.images.astype(np.float32) / 255)
    ours, theirs = evaluated.classify(images), exported(x=images)
    assert {key: value.numpy().tobytes() for key, value in ours.items()} == {
        key: value.numpy().tobytes() for key, value in theirs.items()
    }
    if precision == "float32":  # trained so, the network itself answers the same
        logits = tf.function(trainer.network)(images[..., tf.newaxis], training=False)
        assert np.array_equal(tf.nn.softmax(logits), ours["predictions"])
