"""Model cards: what the trainer wrote down about a version, read when that version answers."""

from __future__ import annotations

import dataclasses
import json
import logging

from webui.card import Card, clean, read_card
from webui.memory import Memory
from webui.storage import StorageError, Versions

log = logging.getLogger("webui.cards")

_LIMIT = 1 << 20  # bytes; a card takes about 2 KB, aliases.json 150 KB at most


class Cards:
    """Reads `<base>/<version>/model_card.json` once per version: a published card never changes.

    A version without a card, or with a broken one, is asked again after `rest_s`; so is `aliases.json`, which changes.
    """

    def __init__(self, versions: Versions | None, rest_s: float = 10.0) -> None:
        self._versions = versions
        self._cards = Memory[Card](most=32, rest_s=rest_s)
        self._forced = Memory[dict[str, str | None]](most=1, rest_s=rest_s, keep_s=rest_s)

    def card(self, version: int) -> Card | None:
        """The version's card, or None when there is none; one that cannot be read is logged, not raised.

        Its `forced` says which figure it missed where somebody served it all the same: `aliases.json` knows that.
        """
        card = self._card(version)
        forced = self._forced.get("", self._read_forced) if card else None
        return dataclasses.replace(card, forced=forced.get(str(version))) if card and forced else card

    def trained_on_stand_in(self, version: int) -> bool:
        """Whether the version learned the stand-in data set; False when nothing says so."""
        card = self._card(version)
        return card is not None and card.stand_in is True

    def data(self, version: int) -> tuple[str, bool] | None:
        """The data set that the version learned, and whether it is the stand-in; None when nothing says which."""
        card = self._card(version)
        return (card.dataset, card.stand_in is True) if card and card.dataset else None

    def _card(self, version: int) -> Card | None:
        return self._cards.get(str(version), lambda: self._read_card(version))

    def _read_card(self, version: int) -> Card | None:
        try:
            packed = self._versions.read(str(version), "model_card.json", _LIMIT) if self._versions else None
            if packed is None:
                return None
            card = read_card(json.loads(packed))
        except (StorageError, ValueError, RecursionError) as error:
            log.warning("model card of version %d: %s", version, error)
            return None
        if card is None:
            log.warning("model card of version %d: it is no JSON object", version)
        return card

    def _read_forced(self) -> dict[str, str | None] | None:
        try:
            packed = self._versions.beside("aliases.json", _LIMIT) if self._versions else None
            return None if packed is None else _forced(json.loads(packed))
        except (StorageError, ValueError, RecursionError) as error:
            log.warning("aliases.json: %s", error)
            return None


def _forced(record: object) -> dict[str, str | None]:
    """By version, which figure it missed when it was last promoted or put on trial; None: none, as most."""
    history = record.get("history") if isinstance(record, dict) else None
    events = [each for each in history if isinstance(each, dict)] if isinstance(history, list) else []
    return {each["version"]: clean(each.get("forced")) for each in events if isinstance(each.get("version"), str)}
