"""Model cards: a real one whole, a damaged one without what is damaged, and seldom read."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from damage import VALUES, paths, records, replaced
from tests.web_ui.conftest import publish
from webui.card import Card, read_card
from webui.cards import Cards
from webui.storage import Folder

MATRIX = [[95 if truth == predicted else (5 if predicted == (truth + 1) % 10 else 0) for predicted in range(10)]
          for truth in range(10)]  # fmt: skip
WHOLE: dict[str, Any] = {
    "tag": "1763900000", "created": "2026-11-23T12:13:20Z", "model": "fast", "parameters": 106000,
    "dataset": {"name": "mnist", "stand_in": False, "train_examples": 60000, "test_examples": 10000,
                "sha256": "ab" * 32, "source": "/where/it/came/from"},
    "settings": {"train_steps": 2814, "batch_size": 64, "learning_rate": 0.01, "optimizer": "sgd",
                 "data_dir": "/data", "precision_used": "float32", "tuned_by": None},
    "parent": "1763800000", "code_hash": "cd" * 32,
    "metrics": {"test_accuracy": 0.95, "test_loss": 0.025, "per_class_accuracy": [0.95] * 10,
                "confusion_matrix": MATRIX},
    "durations": {"train_s": 6.0},
}  # fmt: skip
FIELDS = {
    "tag": "tag", "created": "created", "model": "model", "parameters": "parameters", "dataset.stand_in": "stand_in",
    "dataset.train_examples": "train_examples", "dataset.test_examples": "test_examples", "dataset.sha256": "sha256",
    "dataset.source": "source", "code_hash": "code_hash", "parent": "parent", "metrics.test_accuracy": "test_accuracy",
    "metrics.test_loss": "test_loss", "metrics.per_class_accuracy": "per_class_accuracy",
    "metrics.confusion_matrix": "confusion_matrix", "durations.train_s": "train_s",
}  # fmt: skip
"""Where a field of Card comes from, for those that one value alone decides."""


def card(record: object = WHOLE) -> Card:
    made = read_card(record)
    assert made is not None
    return made


def with_value(path: str, value: object) -> dict[str, Any]:
    """The whole card's record with another value there, or with none (...)."""
    changed = replaced(WHOLE, tuple(path.split(".")), value)
    assert isinstance(changed, dict)
    return changed


def test_a_whole_card_is_read_whole() -> None:
    whole = card()
    assert [name for name in FIELDS.values() if getattr(whole, name) is None] == []
    assert (whole.tag, whole.parent, whole.title) == ("1763900000", "1763800000", "MNIST")
    assert (whole.sha256, whole.code_hash) == ("abababababab", "cdcdcdcdcdcd")
    assert whole.settings == {"train_steps": 2814, "batch_size": 64, "learning_rate": 0.01, "optimizer": "sgd",
                              "precision_used": "float32"}  # fmt: skip


def test_a_card_that_the_trainer_wrote_is_read_whole(version: Path) -> None:
    made = Cards(Folder(version.parent)).card(int(version.name))
    assert made
    missing = {name for name in FIELDS.values() if getattr(made, name) is None}
    assert missing <= {"parent"}  # the first version has none
    assert (made.tag, made.dataset, made.stand_in) == (version.name, "digits", True)
    assert sum(map(sum, made.confusion_matrix or ())) == made.test_examples
    right = sum((made.confusion_matrix or ())[digit][digit] for digit in range(10))
    assert made.test_accuracy == pytest.approx(right / (made.test_examples or 0))


BAD = [None, [], {}, "", -1, math.nan, math.inf, -math.inf, 10**400, 1e300, [[1] * 10] * 9, ["x"] * 10,
       [[-1] * 10] * 10, [[1.5] * 10] * 10, [math.nan] * 10, [[True] * 10] * 10, [0.5] * 9, [1.5] * 10,
       {"a": {"b": []}}, ...]  # fmt: skip


@pytest.mark.parametrize("path", FIELDS)
def test_a_value_of_a_wrong_kind_costs_its_own_field_and_no_other(path: str) -> None:
    for bad in BAD:
        made, name = card(with_value(path, bad)), FIELDS[path]
        assert getattr(made, name) is None, bad
        others = {field: getattr(card(), field) for field in FIELDS.values() if field != name}
        assert {field: getattr(made, field) for field in others} == others


def test_a_part_of_a_wrong_kind_costs_that_part_and_no_other() -> None:
    made = card(with_value("metrics", [1]))
    assert (made.test_accuracy, made.confusion_matrix, made.rows) == (None, None, ())
    assert (made.dataset, made.parameters) == ("mnist", 106000)


@pytest.mark.parametrize("record", [None, [], "x", 7, 1.5, True])
def test_what_is_no_object_is_no_card(record: object) -> None:
    assert read_card(record) is None


def test_an_empty_object_is_a_card_that_tells_nothing() -> None:
    assert card({}) == Card()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x" * 1_000_000, "x" * 119 + "…"),
        ("a\x00b\nc\t d", "a b c d"),
        ("\ud800half", "half"),
        ("left\u202etfel", "left tfel"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),  # the template's to escape
        ("\n\n", None),
        ("scikit-learn’s", "scikit-learn’s"),
    ],
)
def test_a_text_is_one_short_line_that_a_page_can_bear(text: str, shown: str | None) -> None:
    assert card(with_value("dataset.source", text)).source == shown
    json.dumps(card(with_value("model", text)).as_json(), allow_nan=False).encode("utf-8")


def sound(made: Card) -> None:
    """All that a page and the API need to be able to show a card."""
    json.dumps(made.as_json(), allow_nan=False, ensure_ascii=False).encode("utf-8")
    for text in (made.tag, made.created, made.model, made.dataset, made.title, made.source, made.sha256, made.forced):
        assert text is None or 0 < len(text) <= 120
    for row in made.rows:
        assert row.accuracy is None or 0 <= row.accuracy <= 1
        assert len(row.cells) in (0, 10)
        assert all(0 <= cell.heat <= 9 and cell.count >= 0 for cell in row.cells)


@limits(max_examples=300)
@given(VALUES)
def test_any_json_value_gives_a_card_or_none(value: object) -> None:
    made = read_card(value)
    assert made is None or sound(made) is None


@limits(max_examples=500)
@given(st.lists(st.tuples(st.sampled_from(list(paths(WHOLE))), VALUES | st.just(...)), min_size=1, max_size=4))
def test_a_card_with_any_values_changed_is_still_sound(changes: list[tuple[tuple[str, ...], object]]) -> None:
    record: Any = copy.deepcopy(WHOLE)
    for path, value in changes:
        if isinstance(record, dict) and path in set(paths(record)):
            record = replaced(record, path, value)
    made = read_card(record)
    assert made is None or sound(made) is None


@limits(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records(WHOLE))
def test_whatever_the_file_holds_it_gives_a_card_or_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "9").mkdir(exist_ok=True)
    (tmp_path / "9" / "model_card.json").write_bytes(content)
    cards = Cards(Folder(tmp_path))
    made = cards.card(9)
    assert made is None or sound(made) is None
    assert cards.trained_on_stand_in(9) is False
    assert cards.data(9) is None or made


def test_a_cell_is_shaded_by_its_share_of_the_row_and_a_mistake_tenfold() -> None:
    cells = card().rows[3].cells
    assert [cell.heat for cell in cells] == [0, 0, 0, 9, 5, 0, 0, 0, 0, 0]  # 95 % right; 5 % wrong, tenfold
    assert [cell.right for cell in cells].index(True) == 3


def test_a_single_mistake_among_a_thousand_has_a_shade() -> None:
    row = [0] * 9 + [1000]
    row[0] = 1
    assert card(with_value("metrics.confusion_matrix", [row] * 10)).rows[9].cells[0].heat == 1


def test_accuracies_without_a_matrix_are_rows_without_cells_and_the_other_way_round() -> None:
    assert [row.accuracy for row in card(with_value("metrics.confusion_matrix", None)).rows] == [0.95] * 10
    assert card(with_value("metrics.confusion_matrix", None)).rows[0].cells == ()
    alone = card(with_value("metrics.per_class_accuracy", None)).rows
    assert ([row.accuracy for row in alone], len(alone[0].cells)) == ([None] * 10, 10)


def forced(history: object) -> bytes:
    return json.dumps({"stable": "9", "canary": None, "history": history}).encode()


@pytest.mark.parametrize(
    ("aliases", "says"),
    [
        (None, None),
        (
            forced([{"version": "9", "did": "promote", "forced": "its test accuracy is low"}]),
            "its test accuracy is low",
        ),
        (forced([{"version": "9", "forced": "low"}, {"version": "9", "forced": None}]), None),
        (forced([{"version": "8", "forced": "low"}]), None),
        (forced([{"version": "9", "forced": "x" * 10**5}]), "x" * 119 + "…"),
        (forced([None, 7, {"version": ["9"], "forced": 1}, {"version": "9", "forced": {"a": 1}}]), None),
        (forced({"9": "low"}), None),
        (b"[]", None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
    ids=range(11),
)
def test_a_version_that_was_served_by_force_says_which_figure_it_missed(
    tmp_path: Path, aliases: bytes | None, says: str | None
) -> None:
    publish(tmp_path / "export", 9)
    if aliases is not None:
        (tmp_path / "aliases.json").write_bytes(aliases)
    made = Cards(Folder(tmp_path / "export")).card(9)
    assert made
    assert made.forced == says


def test_a_version_that_is_forced_later_says_so_after_a_while(tmp_path: Path) -> None:
    publish(tmp_path / "export", 9)
    cards = Cards(Folder(tmp_path / "export"), rest_s=0.0)
    assert (cards.card(9) or Card()).forced is None
    (tmp_path / "aliases.json").write_bytes(forced([{"version": "9", "forced": "low"}]))
    assert (cards.card(9) or Card()).forced == "low"


def test_a_card_is_read_once_and_one_that_is_absent_not_at_every_page(tmp_path: Path) -> None:
    publish(tmp_path, 9)
    cards = Cards(Folder(tmp_path))
    first = cards.card(9)
    (tmp_path / "9" / "model_card.json").write_text("{}")
    assert (cards.card(9), cards.card(10)) == (first, None)
    publish(tmp_path, 10)
    assert cards.card(10) is None


def test_an_absent_card_is_asked_for_again_after_a_while(tmp_path: Path) -> None:
    cards = Cards(Folder(tmp_path), rest_s=0.0)
    assert cards.card(9) is None
    publish(tmp_path, 9, stand_in=True)
    assert cards.trained_on_stand_in(9)
    assert cards.data(9) == ("digits", True)
