"""Which versions are brought up and let go, with a backend that only notes what is asked of it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from serving.backend import LoadError
from serving.configs import ModelConfig, VersionPolicy
from serving.errors import ServingError
from serving.loader import Loader
from serving.messages import DataType, ModelSpec, SignatureDef, TensorInfo
from serving.models import Models
from serving.signatures import Signature

from .conftest import write_checksums


def signature(takes: str, *gives: str, dtype: int = DataType.DT_FLOAT) -> Signature:
    info = TensorInfo(dtype=dtype)
    return Signature.of(SignatureDef(inputs={takes: info}, outputs=dict.fromkeys(gives, info)))


class NotingModel:
    def __init__(self, notes: list[str], version: str, signatures: Mapping[str, Signature]) -> None:
        self.notes, self.version, self.signatures = notes, version, signatures

    def quick(self, rows: int) -> bool:
        return True

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        return {}

    def close(self) -> None:
        self.notes.append(f"close {self.version}")


class NotingBackend:
    """Notes every load and close; refuses a version whose graph says `bad`."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.words = "it is bad"
        self.signatures = {"serving_default": signature("x", "classes")}

    def load(self, path: Path) -> NotingModel:
        if (path / "saved_model.pb").read_text() == "bad":
            raise LoadError(self.words)
        self.notes.append(f"load {path.name}")
        return NotingModel(self.notes, path.name, self.signatures)


class House:
    """A base folder, a loader that looks at it, and what the two have done."""

    def __init__(self, base: Path, policy: VersionPolicy) -> None:
        self.base, self.models, self.backend = base, Models(), NotingBackend()
        self.loader = Loader(self.models, self.backend)
        self.loader.configure([ModelConfig("m", base, policy)], look=False)

    def put(self, version: int, graph: str = "good") -> Path:
        folder = self.base / str(version)
        folder.mkdir()
        (folder / "saved_model.pb").write_text(graph)
        write_checksums(folder)
        return folder

    def look(self, *versions: int, graph: str = "good") -> tuple[int, ...]:
        """Put these versions there, look, and tell which versions answer now."""
        for version in versions:
            self.put(version, graph)
        self.loader.poll()
        return self.models.available("m")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, VersionPolicy())


def test_the_new_version_is_loaded_before_the_old_is_let_go(house: House) -> None:
    assert house.look(1) == (1,)
    assert house.look(2) == (2,)
    assert house.backend.notes == ["load 1", "load 2", "close 1"]


def test_the_newest_goes_by_number_not_by_name(house: House) -> None:
    assert house.look(9, 10) == (10,)


def test_an_older_version_that_comes_later_changes_nothing(house: House) -> None:
    house.look(5)
    assert house.look(4) == (5,)
    assert house.backend.notes == ["load 5"]


def test_a_bad_newest_version_falls_back_to_the_one_before(house: House) -> None:
    house.put(1)
    assert house.look(2, graph="bad") == (1,)
    assert house.models.states("m")[0][2].message == "it is bad"


def test_a_refusal_is_one_log_line(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.backend.words = "it is bad:\n\t [[{{node x}}]]"
    house.look(2, graph="bad")
    assert caplog.records[0].message == "m: version 2 refused: it is bad: [[{{node x}}]]"


def test_a_refused_version_is_said_once_and_tried_again_when_it_changes(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.look(2, graph="bad")
    house.look()
    assert [one.message for one in caplog.records] == [
        "m: version 2 refused: it is bad",
        f"m: no version to serve in {house.base} yet; waiting",
    ]
    shutil.rmtree(house.base / "2")
    assert house.look(2) == (2,)


def test_a_missing_base_folder_is_said_once_and_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    house = House(tmp_path / "later", VersionPolicy())
    assert house.look() == house.look() == ()
    assert [one.message for one in caplog.records] == [
        f"m: {tmp_path / 'later'} cannot be read (No such file or directory); waiting"
    ]
    house.base.mkdir()
    assert house.look(1) == (1,)


def test_fault_61_a_removed_newest_version_gives_way_to_the_one_before(house: House) -> None:
    house.look(1, 2)
    shutil.rmtree(house.base / "2")
    assert house.look() == (1,)
    assert house.backend.notes == ["load 2", "load 1", "close 2"]


@pytest.mark.parametrize("policy", [VersionPolicy(), VersionPolicy(every=True), VersionPolicy(specific=(2,))])
def test_fault_61_the_last_version_goes_on_without_its_folder(tmp_path: Path, policy: VersionPolicy) -> None:
    house = House(tmp_path, policy)
    house.look(2)
    shutil.rmtree(house.base / "2")
    assert house.look() == (2,)


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        (VersionPolicy(latest=2), (2, 3)),
        (VersionPolicy(every=True), (1, 2, 3)),
        (VersionPolicy(specific=(1, 3)), (1, 3)),
        (VersionPolicy(specific=(8,)), ()),
    ],
)
def test_the_policy_says_which_versions_are_served(
    tmp_path: Path, policy: VersionPolicy, served: tuple[int, ...]
) -> None:
    assert House(tmp_path, policy).look(1, 2, 3) == served


def test_a_version_is_closed_when_its_last_running_request_is_answered(house: House) -> None:
    house.look(1)
    with house.models.lease(ModelSpec(name="m")) as first, house.models.lease(ModelSpec(name="m")):
        house.look(2)
        assert "close 1" not in house.backend.notes
        assert first.model is not None
    assert house.backend.notes[-1] == "close 1"
    with house.models.lease(ModelSpec(name="m")) as now:
        assert now.version == 2


LOST = {
    "another input": (
        signature("image", "classes"),
        'its signature "serving_default" takes image (float), not x (float)',
    ),
    "another type": (
        signature("x", "classes", dtype=DataType.DT_INT32),
        'its signature "serving_default" takes x (int32), not x (float)',
    ),
    "no such output": (
        signature("x", "digits"),
        'its signature "serving_default" gives digits (float), not classes (float)',
    ),
}


@pytest.mark.parametrize("case", LOST)
def test_fault_62_a_version_that_answers_not_what_the_served_one_does_is_refused(
    house: House, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    house.look(1)
    house.backend.signatures = {"serving_default": LOST[case][0]}
    assert house.look(2) == (1,)
    why = f"m: version 2 refused: {LOST[case][1]}, as version 1, which is served, does"
    assert caplog.records[-1].message == why
    assert house.backend.notes == ["load 1", "load 2", "close 2"]


def test_fault_62_a_version_that_lacks_a_signature_is_refused_and_one_with_more_is_taken(house: House) -> None:
    house.look(1)
    house.backend.signatures = {"other": signature("x", "classes")}
    assert house.look(2) == (1,)
    house.backend.signatures = {"other": signature("y"), "serving_default": signature("x", "classes", "predictions")}
    assert house.look(3) == (3,)


def test_models_left_out_of_a_new_configuration_are_let_go(house: House) -> None:
    house.look(1)
    house.loader.configure([])
    assert house.backend.notes == ["load 1", "close 1"]
    with (
        pytest.raises(ServingError, match=r"Servable not found for request: Latest\(m\)"),
        house.models.lease(ModelSpec(name="m")),
    ):
        pass


def test_only_so_many_ended_versions_are_remembered(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    for version in range(1, 40):
        house.look(version)
    assert len(house.models.states("m")) <= 22


def test_a_loader_is_ready_when_every_model_has_a_version(house: House) -> None:
    assert not house.loader.ready()
    house.look(1)
    assert house.loader.ready()


def test_a_manifest_is_read_as_the_contract_has_it(house: House) -> None:
    folder = house.put(1)
    manifest = {"files": {"saved_model.pb": {"sha256": "0" * 64, "size": 4}}}
    (folder / "checksums.json").write_text(json.dumps(manifest))
    assert house.look() == ()
