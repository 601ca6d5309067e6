"""The page: reads the form, asks the model server about a test image, shows the answer or what went wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.datastructures import MultiDict

from webui.cards import Cards
from webui.problems import BadValue, Problem, Refused
from webui.samples import Gallery
from webui.servers import Server, read_host, read_port
from webui.serving_api import Prediction
from webui.settings import Settings

# Wider than the names we give (config's rules), so that a server somebody else set up can be named too.
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
_LONGEST_ECHO = 256  # characters of a wrong value that the form shows again


class Predicts(Protocol):
    """Whatever can be asked for a digit: `client.Predictor`, or a test's own."""

    def predict(self, server: Server, model: str, image: bytes | Sequence[float]) -> Prediction:
        """Ask `server` what digit the 784 grey bytes show; raise a Problem when it cannot say."""


@dataclass(frozen=True)
class Form:
    """The three fields, as typed."""

    name: str
    addr: str
    port: str

    @classmethod
    def read(cls, query: MultiDict[str, str], settings: Settings) -> Form:
        """The form's values from the query; what is not there is pre-filled."""
        return cls(
            query.get("name", settings.model_name)[:_LONGEST_ECHO],
            query.get("addr", settings.address)[:_LONGEST_ECHO],
            query.get("port", str(settings.port))[:_LONGEST_ECHO],
        )

    def model(self) -> str:
        """The model's name; BadValue when it cannot be one."""
        if not _MODEL_NAME.match(self.name):
            raise BadValue("The model name takes letters, digits, dots, dashes and underscores.", "name")
        return self.name

    def server(self, allowed: tuple[Server, ...]) -> Server:
        """The server, which must be one of `allowed`: BadValue when it is none, Refused when it is another.

        No name is resolved and nothing is connected before this has said yes.
        """
        try:
            host = read_host(self.addr)
        except ValueError as error:
            raise BadValue("The server address is a host name or an IP address.", "addr") from error
        try:
            server = Server(host, read_port(self.port))
        except ValueError as error:
            raise BadValue("The port is a whole number from 1 to 65535.", "port") from error
        if server not in allowed:
            named = ", ".join(str(each) for each in allowed)
            field = "port" if any(server.host == each.host for each in allowed) else "addr"
            raise Refused(f"This page may not connect to {server}, only to {named}.", field)
        return server


def page(settings: Settings, predictor: Predicts, gallery: Gallery, cards: Cards) -> Blueprint:
    """The page and /healthz, with all they need passed in."""
    views = Blueprint("page", __name__)

    @views.get("/")
    def index() -> Response:
        form = Form.read(request.args, settings)
        try:
            model, server = form.model(), form.server(settings.allowed)
            samples = gallery.samples()
            sample = samples.pick(request.args.get("after", type=int))
            prediction = predictor.predict(server, model, sample.pixels)
        except Problem as problem:
            return _response(problem.status, form=form, problem=problem)
        # Another model's versions are another folder's: their cards are not ours to read.
        ours = model == settings.model_name
        if ours:
            gallery.answered(prediction.version)
        stand_in = ours and cards.trained_on_stand_in(prediction.version)
        shown = {"sample": sample, "samples": samples, "prediction": prediction, "stand_in": stand_in}
        return _response(200, form=form, server=server, **shown)

    @views.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    return views


def _response(status: int, **values: object) -> Response:
    response = make_response(render_template("index.html", **values), status)
    response.cache_control.no_store = True  # every load is a new image and a new answer
    return response


def percent(share: float) -> str:
    """0.98765 as `98.77`; what is not quite all or nothing never reads as such."""
    rounded = f"{share * 100:.2f}"
    if rounded == "100.00" and share < 1:
        return "> 99.99"
    if rounded == "0.00" and share > 0:
        return "< 0.01"
    return rounded
