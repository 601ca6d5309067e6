"""Counts and times of what the UI answers, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from webui.problems import Problem

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Prediction:
    """A prediction that is being measured."""

    seconds: float | None = None

    def took(self, milliseconds: float) -> None:
        """The server's answer is there, after so long."""
        self.seconds = milliseconds / 1000


class Measures:
    """The metrics of one app."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "web_ui_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self._request_seconds = Histogram(
            "web_ui_request_seconds", "Time until a request was answered.", ["route"],
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._predictions = Counter(
            "web_ui_predictions", "Predictions asked of a model server, by what came of it.", ["outcome"],
            registry=self._registry,
        )  # fmt: skip
        self._prediction_seconds = Histogram(
            "web_ui_prediction_seconds", "Time until the model server had answered.",
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip

    @contextmanager
    def prediction(self) -> Iterator[Prediction]:
        """Count one prediction: `ok`, or the kind of Problem that it ended with."""
        measured, outcome = Prediction(), "ok"
        try:
            yield measured
        except Problem as problem:
            outcome = type(problem).__name__
            raise
        finally:
            self._predictions.labels(outcome).inc()
            if measured.seconds is not None:
                self._prediction_seconds.observe(measured.seconds)

    def watch(self, app: Flask) -> None:
        """Measure every request of `app`, and show what was measured under /metrics."""
        views = Blueprint("measures", __name__)

        @views.get("/metrics")
        def metrics() -> Response:
            return Response(generate_latest(self._registry), content_type=CONTENT_TYPE_LATEST)

        app.register_blueprint(views)
        app.before_request(_begin)
        app.after_request(self._count)

    def _count(self, response: Response) -> Response:
        # The rule, not the path: a path is anything that somebody types. Nor is every method a known one.
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in ("GET", "HEAD", "OPTIONS", "POST") else "other"
        self._requests.labels(method, route, str(response.status_code)).inc()
        self._request_seconds.labels(route).observe(time.perf_counter() - g.began)
        return response


def _begin() -> None:
    g.began = time.perf_counter()
