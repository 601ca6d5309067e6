"""Damaged versions put beside a good one: none is served, the good one goes on, and the log says why."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serving import handlers, predicting
from serving.configs import ModelConfig
from serving.loader import Loader
from serving.messages import PredictRequest, SavedModel
from serving.models import Models
from serving.runtimes import Runtimes
from serving.tensors import fill

from .conftest import expected, write_checksums

IMAGE = np.random.default_rng(3).random((1, 784), np.float32)
GRAPH, INDEX, DATA = "saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"
COPY, ABOUT = "assets.extra/model.tflite", "assets.extra/litert.json"


class House:
    """Version 1, served, and a loader that looks at what is put beside it."""

    def __init__(self, base: Path) -> None:
        self.base, self.models = base, Models()
        self.loader = Loader(self.models, Runtimes())
        self.loader.configure([ModelConfig("mnist", base)])

    def version(self) -> int:
        """The one version that is served, after it has answered as it should."""
        (version,) = self.models.available("mnist")
        request = PredictRequest()
        request.model_spec.name = "mnist"
        fill(request.inputs["x"], IMAGE)
        with handlers.leased(self.models, request) as servable:
            answer = predicting.predict(servable, request)
        np.testing.assert_allclose(answer.outputs["predictions"], expected(IMAGE), rtol=0, atol=1e-5)
        return version


@pytest.fixture
def house(tmp_path: Path, publish: Callable[..., Path]) -> House:
    publish(tmp_path, 1)
    return House(tmp_path)


def test_fault_58_of_two_hundred_flipped_bits_none_is_served(house: House, publish: Callable[..., Path]) -> None:
    chance, bad = random.Random(4), publish(house.base, 2).rename(house.base / "whole")
    names = [GRAPH, INDEX, DATA, COPY, ABOUT]
    for count in range(200):
        path = bad / names[count % len(names)]
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        bad.rename(house.base / "2")
        house.loader.poll()
        assert house.version() == 1, f"bit {count}, in {path.name}"
        (house.base / "2").rename(bad)
        path.write_bytes(whole)
    bad.rename(house.base / "2")
    house.loader.poll()
    assert house.version() == 2


def edit(change: Callable[[SavedModel], object]) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        model = SavedModel.FromString((folder / GRAPH).read_bytes())
        change(model)
        (folder / GRAPH).write_bytes(model.SerializeToString())

    return write


def alien_graph(folder: Path) -> None:
    """A graph whose signatures name tensors that it does not have."""
    edit(lambda model: model.meta_graphs[0].graph_def.Clear())(folder)


# Each with right checksums, so that only loading and the warm-up can find it; and the half sentence in the log.
STRUCTURAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "an empty graph": (lambda at: (at / GRAPH).write_bytes(b""), 'has no graph with the tag "serve"'),
    "half a graph": (lambda at: os.truncate(at / GRAPH, (at / GRAPH).stat().st_size // 2), "is no SavedModel"),
    "noise": (lambda at: (at / GRAPH).write_bytes(random.Random(1).randbytes(5000)), "is no SavedModel"),
    "a graph for training": (
        edit(lambda model: model.meta_graphs[0].meta_info_def.tags.__setitem__(0, "train")),
        'has no graph with the tag "serve"',
    ),
    "no signatures": (edit(lambda model: model.meta_graphs[0].signature_def.clear()), "it has no signature to serve"),
    "no signature that was served": (
        edit(lambda model: model.meta_graphs[0].signature_def.pop("classes")),
        'it has no signature "classes", as version 1, which is served, does',
    ),
    "signatures of another graph": (alien_graph, "TensorFlow cannot load it"),
    "no variables": (lambda at: shutil.rmtree(at / "variables"), "TensorFlow cannot load it"),
    "no index": (lambda at: (at / INDEX).unlink(), "TensorFlow cannot load it"),
    "half of the variables": (lambda at: os.truncate(at / DATA, 15_000), "TensorFlow cannot load it"),
    "noise for an index": (lambda at: (at / INDEX).write_bytes(bytes(300)), "TensorFlow cannot load it"),
    "an output of another type": (
        edit(lambda model: setattr(model.meta_graphs[0].signature_def["classes"].outputs["classes"], "dtype", 3)),
        'signature "classes" gives classes as int64, not as it says',
    ),
    "an input of no known type": (
        edit(lambda model: setattr(model.meta_graphs[0].signature_def["classes"].inputs["x"], "dtype", 99)),
        'signature "classes" has a tensor x of a type that is not served',
    ),
}


@pytest.mark.parametrize("case", STRUCTURAL)
def test_fault_58_a_fault_that_checksums_do_not_show_is_found_by_loading(
    house: House, publish: Callable[..., Path], without_copy: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    damage, reason = STRUCTURAL[case]
    bad = publish(house.base, 2, without_copy).rename(house.base / "bad")
    damage(bad)
    write_checksums(bad)
    bad.rename(house.base / "2")
    house.loader.poll()
    assert house.version() == 1
    (why,) = (one.message for one in caplog.records if "version 2 refused" in one.message)
    assert reason in why
    assert "\n" not in why
