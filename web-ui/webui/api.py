"""The API for programs: predictions, versions and test images as JSON; openapi.json describes it."""

from __future__ import annotations

import json
from http import HTTPStatus
from itertools import chain
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException

from webui import intake
from webui.desk import Asked, Desk, Image, whole
from webui.png import PIXELS, SIDE, data_uri
from webui.problems import BadValue, Problem, UnsupportedPicture
from webui.samples import Sample
from webui.served import Served
from webui.serving_api import Prediction

PREFIX = "/api/"
TAKES = {
    "predict": ("name", "addr", "port", "version"),
    "models": ("name", "addr", "port"),
    "sample": ("index", "after"),
}
"""What a route's address may hold behind the question mark."""

_PICTURES = ("image/png", "image/jpeg")


def api(desk: Desk) -> Blueprint:
    """The API's routes."""
    views = Blueprint("api", __name__, url_prefix=PREFIX.rstrip("/"))

    @views.post("/predict")
    def predict() -> Response:
        asked = desk.asked(desk.form(request.args))
        version, image = whole(request.args, "version"), _image()
        answer = _prediction(asked, desk.predict(asked, image, version))
        return jsonify({**answer, "image": data_uri(_grey(image))})

    @views.get("/models")
    def models() -> Response:
        asked = desk.asked(desk.form(request.args))
        versions = [_version(desk, asked, one) for one in desk.versions(asked)]
        return jsonify({"model": asked.model, "server": str(asked.server), "versions": versions})

    @views.get("/sample")
    def sample() -> Response:
        samples = desk.gallery.samples()
        at, after = whole(request.args, "index"), whole(request.args, "after")
        one = samples.pick(after) if at is None else samples.at(at)
        return jsonify(
            {**_sample(one), "count": len(samples), "dataset": samples.dataset, "stand_in": samples.stand_in}
        )

    @views.get("/openapi.json")
    def description() -> Response:
        return current_app.send_static_file("openapi.json")

    @views.before_request
    def known() -> None:
        """Refuse what no route takes: a mistyped `indx=3` would else be answered as if nothing had been asked."""
        takes = TAKES.get(request.path.removeprefix(PREFIX), ())
        for name, values in request.args.lists():
            if name not in takes:
                raise BadValue(f"“{name[:40]}” means nothing here; there are: {', '.join(takes) or 'none'}.", name[:40])
            if len(values) > 1:
                raise BadValue(f"“{name}” is given {len(values)} times.", name)

    @views.after_request
    def fresh(response: Response) -> Response:
        response.cache_control.no_store = True
        return response

    views.register_error_handler(Problem, problem)
    return views


def problem(error: Problem | HTTPException) -> Response:
    """What went wrong, as RFC 9457's `application/problem+json`."""
    if isinstance(error, Problem):
        status, detail, field = error.status, error.sentence, error.field
    else:
        status, detail, field = error.code or 500, str(error.description), ""
    told: dict[str, Any] = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(json.dumps(told | ({"field": field} if field else {})), status, mimetype="application/problem+json")


def _image() -> Image:
    """The image that came: a picture, or JSON with 784 numbers."""
    if request.mimetype in _PICTURES:
        return intake.digit(request.get_data(cache=False))
    if request.mimetype != "application/json":
        raise UnsupportedPicture("Send image/png, image/jpeg, or JSON with 28 rows of 28 numbers as “image”.")
    try:
        sent = json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError) as error:
        raise BadValue("The body is no JSON.") from error
    if not isinstance(sent, dict) or set(sent) != {"image"}:
        raise BadValue("The body is an object with “image” and nothing else.")
    return _pixels(sent["image"])


def _pixels(value: object) -> list[float]:
    """784 floats 0 to 1 from a flat list or 28 rows; BadValue for anything else."""
    rows = value if isinstance(value, list) else []
    if len(rows) == SIDE and all(isinstance(row, list) and len(row) == SIDE for row in rows):
        rows = list(chain.from_iterable(rows))
    if len(rows) != PIXELS or not all(type(one) in (int, float) and 0 <= one <= 1 for one in rows):
        raise BadValue(
            f"“image” is {SIDE} rows of {SIDE} numbers from 0, paper, to 1, ink; or all {PIXELS} in one list.", "image"
        )
    return [float(one) for one in rows]


def _grey(image: Image) -> bytes:
    """The image as 784 grey bytes."""
    return image if isinstance(image, bytes) else bytes(round(255 * value) for value in image)


def _prediction(asked: Asked, prediction: Prediction) -> dict[str, Any]:
    return {
        "model": asked.model,
        "server": str(asked.server),
        "version": prediction.version,
        "digit": prediction.digit,
        "probabilities": list(prediction.probabilities),
        "latency_ms": round(prediction.latency_ms, 3),
    }


def _version(desk: Desk, asked: Asked, one: Served) -> dict[str, Any]:
    card = desk.card(asked, one.number)
    return {
        "version": one.number,
        "state": one.state,
        "answers": one.answers,
        "role": one.role or None,
        "error": one.error or None,
        "server": str(one.server),
        "card": card and card.as_json(),
    }


def _sample(one: Sample) -> dict[str, Any]:
    rows = [list(one.pixels[at : at + SIDE]) for at in range(0, PIXELS, SIDE)]
    return {"index": one.index, "truth": one.truth, "pixels": rows, "image": data_uri(one.pixels)}
