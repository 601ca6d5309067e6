"""Puts the web UI together: settings, storage, client, page, API, probes, headers, metrics."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from webui import api, headers
from webui.addresses import Addresses
from webui.cards import Cards
from webui.client import Predictor
from webui.desk import Desk, Predicts
from webui.measures import Measures
from webui.origin import check_origin
from webui.page import page, percent
from webui.png import data_uri
from webui.probes import Lifecycle, probes
from webui.samples import Gallery
from webui.settings import Settings
from webui.storage import versions
from webui.uploads import MOST_BYTES

FORM_BYTES = 16_384
"""What a form may take besides the picture; it is under 1 KB."""


def build_app(predictor: Predicts | None = None, settings: Settings | None = None) -> Flask:
    """Build the Flask app; see `webui.create_app`."""
    _log_plainly()
    settings = settings or Settings.from_environ(os.environ)
    app = Flask(__name__)
    limit = MOST_BYTES + FORM_BYTES
    app.config.update(MAX_CONTENT_LENGTH=limit, MAX_FORM_PARTS=8)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(data_uri=data_uri, percent=percent)
    measures = Measures()
    measures.watch(app)
    app.before_request(check_origin)
    headers.protect(app)
    app.register_error_handler(HTTPException, _error)
    where = versions(settings.model_base_path)
    cards = Cards(where)
    gallery = Gallery(where, Path(settings.test_images) if settings.test_images else None, cards)
    addresses = Addresses(settings.allowed, trusted=tuple(settings.version_servers.values()))
    desk = Desk(settings, predictor or Predictor(addresses=addresses), gallery, cards, measures)
    app.extensions["lifecycle"] = Lifecycle()
    app.register_blueprint(probes(app.extensions["lifecycle"]))
    app.register_blueprint(page(desk))
    app.register_blueprint(api.api(desk))
    return app


def _error(error: HTTPException) -> Response:
    """A plain page, or the API's problem, for what no view answered; a crash (500) shows only that it happened."""
    if request.path.startswith(api.PREFIX):
        response = api.problem(error)
    else:
        response = Response(render_template("error.html", error=error), error.code or 500, mimetype="text/html")
    response.headers.extend(header for header in error.get_headers() if header[0] == "Allow")
    return response


def _log_plainly() -> None:
    """Warnings, ours and the server's, as one line each on stderr; a second app in one process changes nothing."""
    for logger in (logging.getLogger("webui"), logging.getLogger("waitress")):
        if not logger.handlers:
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            logger.addHandler(handler)
