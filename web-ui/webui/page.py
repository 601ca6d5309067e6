"""The page: shows a model a test image, or a picture that somebody sent, and says what the model sees in it."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from webui import intake
from webui.desk import Asked, Desk, whole
from webui.form import Form
from webui.problems import BadValue, Problem
from webui.samples import Sample, Samples

UPLOAD = "file"
"""The name of the field that holds a picture."""


def page(desk: Desk) -> Blueprint:
    """The page's routes: GET shows a test image, POST a picture that comes with it."""
    views = Blueprint("page", __name__)

    @views.get("/")
    def index() -> Response:
        form = desk.form(request.args)
        try:
            asked = desk.asked(form)
            samples = desk.gallery.samples()
            at, after = whole(request.args, "image"), whole(request.args, "after")
            sample = samples.pick(after) if at is None else samples.at(at)
            return _answer(desk, form, asked, sample, samples)
        except Problem as problem:
            return _response(problem.status, form=form, problem=problem)

    @views.post("/")
    def picture() -> Response:
        form = desk.form(request.form)
        try:
            asked = desk.asked(form)
            return _answer(desk, form, asked, Sample(None, intake.digit(_sent()), None))
        except Problem as problem:
            return _response(problem.status, form=form, problem=problem)

    return views


def _sent() -> bytes:
    """The picture that was posted."""
    sent = request.files.get(UPLOAD)
    if sent is None or not sent.filename:
        raise BadValue("Choose a picture first: a PNG or JPEG of one digit.", UPLOAD)
    return sent.read()


def _answer(desk: Desk, form: Form, asked: Asked, sample: Sample, samples: Samples | None = None) -> Response:
    prediction = desk.predict(asked, sample.pixels)
    chosen = whole(request.args, "card") or prediction.version
    return _response(
        200,
        form=form,
        server=asked.server,
        sample=sample,
        samples=samples,
        prediction=prediction,
        opinions=desk.compare(asked, sample.pixels),
        versions=[(one, desk.card(asked, one.number)) for one in desk.versions(asked)],
        chosen=chosen,
        card=desk.card(asked, chosen),
        stand_in=_stand_in(desk, asked, prediction.version),
    )


def _stand_in(desk: Desk, asked: Asked, version: int) -> bool:
    card = desk.card(asked, version)
    return card is not None and card.stand_in is True


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
