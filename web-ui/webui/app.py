"""Puts the web UI together: settings, storage, client, page, headers."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from flask import Flask, Response, render_template
from werkzeug.exceptions import HTTPException

from webui import headers
from webui.cards import Cards
from webui.client import Predictor
from webui.page import Predicts, page, percent
from webui.png import data_uri
from webui.samples import Gallery
from webui.settings import Settings
from webui.storage import versions


def build_app(predictor: Predicts | None = None, settings: Settings | None = None) -> Flask:
    """Build the Flask app; see `webui.create_app`."""
    _log_plainly()
    settings = settings or Settings.from_environ(os.environ)
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=16_384)  # the page takes no uploads; a form is under 1 KB
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(data_uri=data_uri, percent=percent)
    headers.protect(app)
    app.register_error_handler(HTTPException, _error_page)
    where = versions(settings.model_base_path)
    cards = Cards(where)
    gallery = Gallery(where, Path(settings.test_images) if settings.test_images else None, cards)
    app.register_blueprint(page(settings, predictor or Predictor(), gallery, cards))
    return app


def _error_page(error: HTTPException) -> Response:
    """A plain page for what no view answered; a crash (500) shows no more than that it happened."""
    response = Response(render_template("error.html", error=error), error.code or 500, mimetype="text/html")
    response.headers.extend(header for header in error.get_headers() if header[0] == "Allow")
    return response


def _log_plainly() -> None:
    """Our warnings as one line each on stderr; a second app in one process changes nothing."""
    logger = logging.getLogger("webui")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
