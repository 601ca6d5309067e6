"""Pictures that people send: the page answers with what the model sees in them, or says what is wrong."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from tests.web_ui.conftest import Says, client
from tests.web_ui.test_api import picture
from webui.allowed import Allowed
from webui.servers import Server


def send(app: FlaskClient, content: bytes | None, headers: dict[str, str] | None = None, **fields: str) -> TestResponse:
    file = {} if content is None else {"file": FileStorage(io.BytesIO(content), "seven.png", "file")}
    boundary, body = encode_multipart({**fields, **file})
    kind = f"multipart/form-data; boundary={boundary}"
    return app.post("/", data=body, content_type=kind, headers=headers)


def test_a_picture_gets_a_page_with_its_prediction_and_no_truth(base: Path) -> None:
    says = Says()
    response = send(client(base, says), picture())
    assert response.status_code == 200
    assert "Your picture" in response.text
    assert '<b id="prediction">7</b>' in response.text
    assert 'id="truth"' not in response.text
    assert max(says.asked[0][2]) > 200


def test_a_picture_goes_to_the_server_that_the_form_names(base: Path) -> None:
    says = Says()
    app = client(base, says, allowed=Allowed((Server("h", 80),)))
    page = send(app, picture(), name="m", addr="h", port="80").text
    assert says.asked[0][:2] == ("h:80", "m")
    assert '<input type="hidden" name="addr" value="h">' in page


def test_no_test_images_are_needed_for_a_picture(tmp_path: Path) -> None:
    assert send(client(tmp_path), picture()).status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (None, 400, "Choose a picture first"),
        (b"", 415, "PNG or JPEG"),
        (b"GIF89a" + bytes(100), 415, "PNG or JPEG"),
        (b"x" * ((1 << 20) + 1), 413, "1 MB"),
    ],
    ids=["none", "empty", "another kind", "large"],
)
def test_a_picture_that_cannot_be_read_is_said_beside_the_field_and_nobody_is_asked(
    base: Path, content: bytes | None, status: int, says: str
) -> None:
    predictor = Says()
    response = send(client(base, predictor), content)
    assert response.status_code == status
    assert says in response.text[response.text.index('id="picture"') :]
    assert "Connected" not in response.text
    assert predictor.asked == []


def test_fault_66_a_body_beyond_the_limit_is_413(base: Path) -> None:
    response = send(client(base), b"x" * 1_100_000)
    assert response.status_code == 413
    assert "Back to the digits" in response.text


def test_fault_63_a_picture_goes_to_no_other_server(base: Path) -> None:
    predictor = Says()
    assert send(client(base, predictor), picture(), addr="169.254.169.254").status_code in (400, 403)
    assert predictor.asked == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "x"}, 403),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://localhost"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[::1"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/predict"])
def test_fault_67_another_sites_page_cannot_post_here(
    base: Path, headers: dict[str, str], status: int, path: str
) -> None:
    predictor = Says()
    app = client(base, predictor)
    if path == "/":
        response = send(app, picture(), headers)
    else:
        response = app.post(path, data=picture(), content_type="image/png", headers=headers)
    assert response.status_code == status
    assert len(predictor.asked) == (status == 200)
