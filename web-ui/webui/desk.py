"""Answers what page and API ask alike: who is asked, what is seen in an image, and what each version says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from werkzeug.datastructures import MultiDict

from webui.cards import Card, Cards
from webui.form import Form
from webui.measures import Measures
from webui.problems import BadValue, Problem
from webui.samples import Gallery
from webui.served import Roster, Served
from webui.servers import Server
from webui.serving_api import Prediction, Version
from webui.settings import Settings

_MOST_COMPARED = 4

Image = bytes | Sequence[float]
"""784 grey bytes 0 to 255, or 784 floats 0 to 1, row by row; 0 is paper, the highest is ink."""


class Predicts(Protocol):
    """Whatever can be asked for a digit: `client.Predictor`, or a test's own."""

    def predict(self, server: Server, model: str, image: Image, version: int | None = None) -> Prediction:
        """Ask `server` what digit the image shows; raise a Problem when it cannot say."""

    def versions(self, server: Server, model: str) -> tuple[Version, ...]:
        """The versions that `server` has or had; none where it does not say."""


@dataclass(frozen=True)
class Asked:
    """A model at a server that this page may connect to."""

    model: str
    server: Server


@dataclass(frozen=True)
class Opinion:
    """What one version says of an image, or why it says nothing."""

    served: Served
    prediction: Prediction | None
    problem: Problem | None = None


class Desk:
    """What the views ask; from any thread."""

    def __init__(
        self, settings: Settings, predictor: Predicts, gallery: Gallery, cards: Cards, measures: Measures
    ) -> None:
        self.settings = settings
        self.gallery = gallery
        self._cards = cards
        self._predictor = predictor
        self._measures = measures
        usual = (settings.model_name, Server(settings.address, settings.port))
        self._roster = Roster(predictor, usual, tuple(settings.version_servers.items()))

    def form(self, values: MultiDict[str, str]) -> Form:
        """The form's fields; what is not given is pre-filled."""
        return Form.read(values, self.settings)

    def asked(self, form: Form) -> Asked:
        """The model and the server that the form names, or a Problem; nothing is connected."""
        return Asked(form.model(), form.server(self.settings.allowed))

    def predict(self, asked: Asked, image: Image, version: int | None = None) -> Prediction:
        """What the server, or one of its versions, sees in the image; or a Problem."""
        server = asked.server
        if version is not None:
            server = next((one.server for one in self.versions(asked) if one.number == version), server)
        with self._measures.prediction() as measured:
            prediction = self._predictor.predict(server, asked.model, image, version)
            measured.took(prediction.latency_ms)
        if version is None and asked.model == self.settings.model_name:
            self.gallery.answered(prediction.version)
        return prediction

    def versions(self, asked: Asked) -> tuple[Served, ...]:
        """The versions that the server has or had, the highest first."""
        return self._roster.versions(asked.model, asked.server)

    def compare(self, asked: Asked, image: Image) -> list[Opinion]:
        """What each version that answers says of the image, the highest first; none where there is only one."""
        answering = [one for one in self.versions(asked) if one.answers][:_MOST_COMPARED]
        return [self._opinion(asked, image, one) for one in answering] if len(answering) > 1 else []

    def card(self, asked: Asked, version: int) -> Card | None:
        """The version's model card. Another model's versions are another folder's: their cards are not ours to read."""
        return self._cards.card(version) if asked.model == self.settings.model_name else None

    def _opinion(self, asked: Asked, image: Image, served: Served) -> Opinion:
        try:
            return Opinion(served, self.predict(Asked(asked.model, served.server), image, served.number))
        except Problem as problem:
            return Opinion(served, None, problem)


def whole(values: MultiDict[str, str], name: str) -> int | None:
    """A whole number from the query, or None where it is not given; BadValue for anything else."""
    text = values.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadValue(f"“{name}” is a whole number.")
    return int(text)
