"""What /metrics says: requests by route and status, predictions by outcome, and nothing that a visitor typed."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.web_ui.conftest import Says, client
from webui import problems


def measured(app: object) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and its labels' values."""
    text = app.get("/metrics").text
    families = text_string_to_metric_families(text)
    return {(one.name, tuple(one.labels.values())): one.value for family in families for one in family.samples}


def test_requests_are_counted_by_method_route_and_status(base: Path) -> None:
    app = client(base)
    app.get("/?name=a")
    app.get("/?name=b")
    app.get("/?port=x")
    app.get("/secret/path")
    seen = measured(app)
    assert seen["web_ui_requests_total", ("GET", "/", "200")] == 2
    assert seen["web_ui_requests_total", ("GET", "/", "400")] == 1
    assert seen["web_ui_requests_total", ("GET", "none", "404")] == 1
    assert seen["web_ui_request_seconds_count", ("/",)] == 3


def test_predictions_are_counted_by_what_came_of_them_and_timed(base: Path) -> None:
    says = Says()
    app = client(base, says)
    app.get("/")
    says.problem = problems.TooSlow("Too slow.")
    app.get("/")
    seen = measured(app)
    assert seen["web_ui_predictions_total", ("ok",)] == 1
    assert seen["web_ui_predictions_total", ("TooSlow",)] == 1
    assert seen["web_ui_prediction_seconds_count", ()] == 1
    assert seen["web_ui_prediction_seconds_sum", ()] == 0.00325


def test_nothing_that_a_visitor_types_becomes_a_label(base: Path) -> None:
    app = client(base)
    for word in ("alice", "bob"):
        app.get(f"/{word}?name={word}")
        app.open("/", method=word.upper())
    text = app.get("/metrics").text.lower()
    assert "alice" not in text
    assert "bob" not in text


def test_two_apps_in_one_process_count_apart(base: Path) -> None:
    one, other = client(base), client(base)
    one.get("/")
    assert ("web_ui_requests_total", ("GET", "/", "200")) not in measured(other)
