"""Model cards: what the trainer wrote down about a version, read when that version answers."""

from __future__ import annotations

import json
import logging
from typing import Any

from webui.storage import StorageError, Versions

log = logging.getLogger("webui.cards")

_LIMIT = 1 << 20  # bytes; a card takes about 2 KB
_MOST_KEPT = 32


class Card:
    """Interim."""

    def __init__(self, told):
        self._told = told
        data = told.get("dataset")
        self.stand_in = isinstance(data, dict) and data.get("stand_in") is True
        self.test_accuracy = told.get("metrics", {}).get("test_accuracy")

    def as_json(self):
        return {"tag": self._told.get("tag"), "test_accuracy": self.test_accuracy, "stand_in": self.stand_in}


class Cards:
    """Reads `<base>/<version>/model_card.json` once per version; a published card never changes."""

    def __init__(self, versions: Versions | None) -> None:
        self._versions = versions
        self._kept: dict[int, dict[str, Any]] = {}

    def card(self, version: int) -> Card | None:
        """The version's card, or None when there is none; one that cannot be read is logged, not raised."""
        card = self._kept.get(version)
        if card is None and self._versions is not None:
            try:
                card = _read(self._versions, version)
            except (StorageError, ValueError, RecursionError) as error:
                log.warning("model card of version %d: %s", version, error)
            if card is not None:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[version] = card
        return card and Card(card)

    def trained_on_stand_in(self, version: int) -> bool:
        """Whether the version learned the stand-in data set; False when nothing says so."""
        card = self.card(version)
        return card is not None and card.stand_in


def _read(versions: Versions, version: int) -> dict[str, Any] | None:
    packed = versions.read(str(version), "model_card.json", _LIMIT)
    card = None if packed is None else json.loads(packed)
    if not isinstance(card, dict | None):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # bad data, not a bad call
    return card
