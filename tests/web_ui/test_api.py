"""The API for programs: what it takes, what it answers, and how it says no."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.web_ui.conftest import SHARES, Says, client, publish
from webui import problems
from webui.serving_api import Version

ROWS = [[row / 27] * 28 for row in range(28)]


def picture(kind: str = "PNG") -> bytes:
    """A black stroke on white paper."""
    paper = Image.new("L", (60, 80), 255)
    paper.paste(0, (27, 10, 33, 70))
    packed = io.BytesIO()
    paper.save(packed, kind)
    return packed.getvalue()


def test_an_image_of_numbers_gets_a_digit_ten_shares_the_version_and_the_time(base: Path) -> None:
    says = Says()
    answer = client(base, says).post("/api/predict", json={"image": ROWS})
    image = answer.json.pop("image")
    assert answer.status_code == 200
    assert image.startswith("data:image/png;base64,")
    assert {name: value for name, value in answer.json.items() if name != "image"} == {
        "model": "mnist",
        "server": "mnist-service:9000",
        "version": 1763900000,
        "digit": 7,
        "probabilities": list(SHARES),
        "latency_ms": 3.25,
    }
    assert list(says.asked[0][2]) == [value for row in ROWS for value in row]


def test_784_numbers_in_one_list_are_the_same_image(base: Path) -> None:
    says = Says()
    app = client(base, says)
    app.post("/api/predict", json={"image": ROWS})
    app.post("/api/predict", json={"image": [value for row in ROWS for value in row]})
    assert says.asked[0] == says.asked[1]


@pytest.mark.parametrize(("kind", "mimetype"), [("PNG", "image/png"), ("JPEG", "image/jpeg")])
def test_a_picture_is_made_28_pixels_square_and_asked_about(base: Path, kind: str, mimetype: str) -> None:
    says = Says()
    answer = client(base, says).post("/api/predict", data=picture(kind), content_type=mimetype)
    assert (answer.status_code, answer.json["digit"]) == (200, 7)
    (_, _, image) = says.asked[0]
    assert len(image) == 784
    assert max(image) > 200  # ink is white now
    assert image[0] == 0


def test_a_version_that_is_named_is_the_one_that_answers(base: Path) -> None:
    assert client(base).post("/api/predict?version=5", json={"image": ROWS}).json["version"] == 5


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("version=x", "“version” is a whole number."),
        ("version=", "“version” is a whole number."),
        ("version=-1", "“version” is a whole number."),
        ("version=5&version=6", "“version” is given 2 times."),
        ("verison=5", "“verison” means nothing here; there are: name, addr, port, version."),
        ("port=ninety", "The port is a whole number from 1 to 65535."),
    ],
)
def test_a_query_that_cannot_be_meant_is_said_and_nobody_is_asked(base: Path, query: str, says: str) -> None:
    predictor = Says()
    answer = client(base, predictor).post(f"/api/predict?{query}", json={"image": ROWS})
    assert (answer.status_code, answer.json["detail"]) == (400, says)
    assert predictor.asked == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"image": ROWS[:27]}, "28 rows of 28 numbers"),
        ({"image": [*ROWS[:27], [0.5] * 27]}, "28 rows of 28 numbers"),
        ({"image": [0.5] * 783}, "28 rows of 28 numbers"),
        ({"image": [*ROWS[:27], ["0"] * 28]}, "28 rows of 28 numbers"),
        ({"image": [*ROWS[:27], [True] * 28]}, "28 rows of 28 numbers"),
        ({"image": [*ROWS[:27], [1.01] * 28]}, "28 rows of 28 numbers"),
        ({"image": [*ROWS[:27], [-0.01] * 28]}, "28 rows of 28 numbers"),
        ({"image": [*ROWS[:27], [None] * 28]}, "28 rows of 28 numbers"),
        ({"image": "7"}, "28 rows of 28 numbers"),
        ({}, "The body is an object with “image”"),
        ({"image": ROWS, "version": 1}, "The body is an object with “image”"),
        ([ROWS], "The body is an object with “image”"),
    ],
)
def test_a_body_that_cannot_be_meant_is_said_and_nobody_is_asked(base: Path, body: Any, says: str) -> None:
    predictor = Says()
    answer = client(base, predictor).post("/api/predict", json=body)
    assert answer.status_code == 400
    assert says in answer.json["detail"]
    assert predictor.asked == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 100_000, b'{"image": NaN}', b'{"image": [%s]}' % b",".join([b"NaN"] * 784)],
    ids=["none", "half", "no text", "deep", "no list", "no numbers"],
)
def test_what_is_no_json_is_said(base: Path, body: bytes) -> None:
    answer = client(base).post("/api/predict", data=body, content_type="application/json")
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")


@pytest.mark.parametrize("mimetype", ["text/plain", "image/gif", "", "multipart/form-data"])
def test_another_kind_of_body_is_415_with_what_would_be_right(base: Path, mimetype: str) -> None:
    answer = client(base).post("/api/predict", data=b"x", content_type=mimetype)
    assert answer.status_code == 415
    assert "Send image/png, image/jpeg, or JSON" in answer.json["detail"]


def test_fault_66_a_body_beyond_the_limit_is_413_as_a_problem(base: Path) -> None:
    predictor = Says()
    answer = client(base, predictor).post("/api/predict", data=b"x" * 1_100_000, content_type="image/png")
    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")
    assert predictor.asked == []


@pytest.mark.parametrize(
    ("problem", "status"),
    [
        (problems.ServerDown("Nobody there."), 502),
        (problems.TooSlow("Too slow."), 504),
        (problems.UnknownModel("No such model.", "name"), 404),
        (problems.NotReady("Busy."), 503),
    ],
)
def test_fault_65_a_failed_prediction_is_a_problem_with_its_sentence(
    base: Path, problem: problems.Problem, status: int
) -> None:
    answer = client(base, Says(problem)).post("/api/predict", json={"image": ROWS})
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json["detail"] == problem.sentence
    assert answer.json.get("field", "") == problem.field


def test_fault_68_a_crash_shows_neither_a_trace_nor_its_words(base: Path) -> None:
    answer = client(base, Says(ZeroDivisionError("secret words"))).post("/api/predict", json={"image": ROWS})
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/api/nope", "/api/predict"])
def test_what_is_not_there_is_a_problem_too(base: Path, path: str) -> None:
    answer = client(base).get(path)
    assert answer.status_code in (404, 405)
    assert answer.json["status"] == answer.status_code


def test_models_lists_the_versions_with_their_cards(tmp_path: Path) -> None:
    publish(tmp_path, 5)
    says = Says(version=5)
    says.has["mnist-service:9000"] = (Version(6, "END", "it is damaged"), Version(5, "AVAILABLE"))
    answer = client(tmp_path, says).get("/api/models").json
    assert (answer["model"], answer["server"]) == ("mnist", "mnist-service:9000")
    refused, served = answer["versions"]
    assert (refused["version"], refused["answers"], refused["error"], refused["card"]) == (
        6,
        False,
        "it is damaged",
        None,
    )
    assert (served["version"], served["answers"], served["state"], served["error"]) == (5, True, "AVAILABLE", None)
    assert served["card"]["tag"] == "5"


def test_a_sample_is_a_test_image_with_its_truth(base: Path) -> None:
    answer = client(base).get("/api/sample?index=3").json
    assert (answer["index"], answer["truth"], answer["count"], answer["dataset"]) == (3, 3, 12, "mnist")
    assert answer["pixels"] == [[row * 9 + 3] * 28 for row in range(28)]


def test_a_sample_goes_straight_into_a_prediction(base: Path) -> None:
    app = client(base)
    pixels = app.get("/api/sample").json["pixels"]
    image = [[value / 255 for value in row] for row in pixels]
    assert app.post("/api/predict", json={"image": image}).status_code == 200


def test_the_sample_after_one_is_another(base: Path) -> None:
    app = client(base)
    assert 4 not in {app.get("/api/sample?after=4").json["index"] for _ in range(60)}


@pytest.mark.parametrize(
    ("query", "status"), [("index=12", 404), ("index=x", 400), ("index=-1", 400), ("after=x", 400)]
)
def test_a_sample_that_cannot_be_is_said(base: Path, query: str, status: int) -> None:
    assert client(base).get(f"/api/sample?{query}").status_code == status


def test_the_description_is_served_and_names_every_route_and_no_other(base: Path) -> None:
    app = client(base)
    with app.get("/api/openapi.json") as answer:
        described = json.loads(answer.data)
    routes = {rule.rule for rule in app.application.url_map.iter_rules() if rule.rule.startswith("/api/")}
    assert set(described["paths"]) | {"/api/openapi.json"} == routes


@pytest.mark.parametrize("path", ["/api/sample", "/api/models"])
def test_an_answer_is_not_kept(base: Path, path: str) -> None:
    assert client(base).get(path).headers["Cache-Control"] == "no-store"
