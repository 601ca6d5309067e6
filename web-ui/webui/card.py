"""A model card for people: what of a version's card can be shown, each value checked, whatever the file holds."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Any

DIGITS = 10
HEATS = 10
"""Shades of the confusion matrix: 0 for nothing, then 1 to 9."""

SHOWN_SETTINGS = (
    "train_steps", "batch_size", "learning_rate", "optimizer", "schedule", "augment_pixels", "precision_used", "seed",
    "tuned_by",
)  # fmt: skip
"""Those of the trainer's options that a reader may want to know."""

_MOST = 10**12  # of anything that is counted; beyond it is damage
_LONGEST = 120  # characters of a text


@dataclass(frozen=True)
class Cell:
    """One cell of the confusion matrix: test images of a digit that were read as some digit."""

    count: int
    heat: int
    right: bool


@dataclass(frozen=True)
class Row:
    """What became of the test images of the digit `truth`; `accuracy` 0 to 1."""

    truth: int
    accuracy: float | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Card:
    """What a version says of itself. Shares are 0 to 1, the loss is in nats, durations in seconds; None: not told."""

    tag: str | None = None
    created: str | None = None
    model: str | None = None
    parameters: int | None = None
    dataset: str | None = None
    title: str | None = None
    stand_in: bool | None = None
    train_examples: int | None = None
    test_examples: int | None = None
    sha256: str | None = None
    source: str | None = None
    settings: dict[str, str | int | float] = field(default_factory=dict)
    code_hash: str | None = None
    parent: str | None = None
    test_accuracy: float | None = None
    test_loss: float | None = None
    per_class_accuracy: tuple[float, ...] | None = None
    confusion_matrix: tuple[tuple[int, ...], ...] | None = None
    train_s: float | None = None
    forced: str | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        """The table of the ten digits: accuracies and confusion matrix, or the one that is there; else empty."""
        if self.per_class_accuracy is None and self.confusion_matrix is None:
            return ()
        accuracies = self.per_class_accuracy or (None,) * DIGITS
        matrix = self.confusion_matrix or ((),) * DIGITS
        return tuple(
            Row(truth, accuracies[truth], tuple(_cell(truth, at, row) for at in range(len(row))))
            for truth, row in enumerate(matrix)
        )

    def as_json(self) -> dict[str, Any]:
        """The card in JSON's own types: all fields, null where nothing is told; no NaN, no infinity."""
        return {each.name: _plain(getattr(self, each.name)) for each in dataclasses.fields(self)}


def read_card(record: object) -> Card | None:
    """Take from any JSON value what a card may hold; what is absent or of a wrong kind costs that field alone.

    None when the value is no object.
    """
    if not isinstance(record, dict):
        return None
    dataset = _text(record, "dataset.name")
    return Card(
        tag=_matching(record, "tag", "[1-9][0-9]{0,17}"),
        created=_matching(record, "created", "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"),
        model=_text(record, "model"),
        parameters=_whole(_at(record, "parameters")),
        dataset=dataset,
        title=title(dataset) if dataset else None,
        stand_in=_truth(record, "dataset.stand_in"),
        train_examples=_whole(_at(record, "dataset.train_examples")),
        test_examples=_whole(_at(record, "dataset.test_examples")),
        sha256=_hash(record, "dataset.sha256"),
        source=_text(record, "dataset.source"),
        settings={name: value for name in SHOWN_SETTINGS if (value := _setting(record, name)) is not None},
        code_hash=_hash(record, "code_hash"),
        parent=_matching(record, "parent", "[1-9][0-9]{0,17}"),
        test_accuracy=_number(_at(record, "metrics.test_accuracy"), 1),
        test_loss=_number(_at(record, "metrics.test_loss")),
        per_class_accuracy=_ten(_number(one, 1) for one in _list(_at(record, "metrics.per_class_accuracy"))),
        confusion_matrix=_ten(
            _ten(_whole(one) for one in _list(row)) for row in _list(_at(record, "metrics.confusion_matrix"))
        ),
        train_s=_number(_at(record, "durations.train_s")),
    )


def title(dataset: str) -> str:
    """A data set's name for a reader."""
    return {"mnist": "MNIST", "digits": "scikit-learn’s digits"}.get(dataset, dataset)


def clean(value: object) -> str | None:
    """A text as one short line that any page can bear: no control characters, no half surrogates; None if empty."""
    if not isinstance(value, str):
        return None
    line = "".join(letter if letter.isprintable() else " " for letter in value[: _LONGEST * 4])
    line = " ".join(line.split())
    return (line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…") or None


def _at(record: object, path: str) -> object:
    for key in path.split("."):
        record = record.get(key) if isinstance(record, dict) else None
    return record


def _text(record: object, path: str) -> str | None:
    return clean(_at(record, path))


def _matching(record: object, path: str, pattern: str) -> str | None:
    value = _at(record, path)
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None


def _hash(record: object, path: str) -> str | None:
    """The first twelve digits of a hexadecimal sum: enough to tell two apart."""
    whole = _matching(record, path, "[0-9a-f]{12,128}")
    return whole[:12] if whole else None


def _truth(record: object, path: str) -> bool | None:
    value = _at(record, path)
    return value if isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST else None


def _number(value: object, most: float = _MOST) -> float | None:
    """A number from 0 to `most`; NaN is in no range, and an integer of 400 digits is compared, not converted."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= most:
        return None
    return float(value)


def _setting(record: object, name: str) -> str | int | float | None:
    value = _at(record, f"settings.{name}")
    return _whole(value) if isinstance(value, int) else _number(value) if isinstance(value, float) else clean(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) and len(value) == DIGITS else []


def _ten(values: Any) -> Any:
    """The values as a tuple; None unless they are ten, each of them sound."""
    made = tuple(values)
    return made if len(made) == DIGITS and None not in made else None


def _cell(truth: int, predicted: int, row: tuple[int, ...]) -> Cell:
    """The cell's shade is its share of the row; a mistake's tenfold: a tenth taken for another digit is a lot."""
    share = row[predicted] / max(1, sum(row)) * (1 if truth == predicted else 10)
    return Cell(row[predicted], min(HEATS - 1, math.ceil(share * (HEATS - 1))), truth == predicted)


def _plain(value: Any) -> Any:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value
