"""The page with a predictor of the test's own: what it shows, and which status it has."""

from __future__ import annotations

import io
import re
from html import escape
from pathlib import Path

import pytest

from tests.web_ui.conftest import SHARES, Says, client, publish
from webui import problems
from webui.allowed import Allowed
from webui.page import percent
from webui.servers import Server
from webui.serving_api import Version


def test_the_form_is_pre_filled_with_name_address_and_port(base: Path) -> None:
    page = client(base, model_name="mnist", address="mnist-service", port=9000).get("/").text
    for field, value in (("name", "mnist"), ("addr", "mnist-service"), ("port", "9000")):
        assert f'id="{field}" name="{field}" value="{value}"' in page


def test_a_prediction_shows_truth_digit_shares_latency_and_the_version_that_answered(base: Path) -> None:
    says = Says(version=1763900042)
    response = client(base, says).get("/")
    (_, _, image), page = says.asked[0], response.text
    truth = image[0] % 10  # the test images begin with their own number
    assert response.status_code == 200
    assert f'<b id="truth">{truth}</b>' in page
    assert '<b id="prediction">7</b>' in page
    assert '<b id="version">1763900042</b>' in page
    assert '<span id="latency">3.2</span> ms' in page
    assert 'src="data:image/png;base64,' in page
    assert f'alt="A handwritten {truth}"' in page


def test_ten_bars_are_as_long_as_their_figures(base: Path) -> None:
    page = client(base).get("/").text
    bars = re.findall(r'class="fill" width="([\d.]+)"', page)
    figures = re.findall(r'class="figure">(.+?) %<', page)
    assert [float(width) for width in bars] == pytest.approx([share * 100 for share in SHARES])
    assert figures == [percent(share) for share in SHARES]
    assert re.findall(r'<th scope="row">(\d)</th>', page) == list("0123456789")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0.00"), (1e-9, "&lt; 0.01"), (0.98765, "98.77"), (0.999999, "&gt; 99.99"), (1.0, "100.00")],
)
def test_a_share_that_is_not_quite_all_or_nothing_never_reads_as_such(share: float, text: str) -> None:
    assert escape(percent(share)) == text


def test_the_verdict_says_in_words_whether_the_model_was_right(base: Path) -> None:
    says = Says()
    app = client(base, says)
    for _ in range(40):
        page = app.get("/").text
        truth = says.asked[-1][2][0] % 10
        assert f'<span id="verdict">{"✓ right" if truth == 7 else "✗ wrong"}</span>' in page


def test_another_image_is_a_plain_link_that_keeps_the_form_and_changes_the_image(base: Path) -> None:
    says = Says()
    app = client(base, says, allowed=Allowed((Server("h", 80),)))
    page = app.get("/?name=m&addr=h&port=80").text
    for _ in range(30):
        link = re.search(r'href="([^"]+)">Another image<', page)[1].replace("&amp;", "&")
        page = app.get(link).text
        assert "name=m&addr=h&port=80&after=" in link
        assert says.asked[-1][:2] == ("h:80", "m")
        assert says.asked[-1][2] != says.asked[-2][2]


@pytest.mark.parametrize(
    "problem",
    [
        problems.ServerDown("Nobody there."),
        problems.TooSlow("Too slow."),
        problems.UnknownModel("No such model.", "name"),
        problems.BadAnswer("Not a digit."),
        problems.NotReady("Busy."),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_fault_65_a_failed_prediction_has_its_status_and_the_page_is_still_there(
    base: Path, problem: problems.Problem
) -> None:
    response = client(base, Says(problem)).get("/")
    assert response.status_code == problem.status
    assert f"<strong>{problem.heading}</strong> {problem.sentence}" in response.text
    assert 'role="alert"' in response.text
    assert ">Connect</button>" in response.text
    assert ("Try again</a>" in response.text) is (problem.status >= 500)


def test_an_image_that_is_named_is_shown_again(base: Path) -> None:
    says = Says()
    app = client(base, says)
    assert "Test image 5 <small>" in app.get("/?image=4").text
    app.get("/?image=4")
    assert says.asked[0] == says.asked[1]


def test_an_image_that_is_not_there_is_404_and_the_page_is_still_there(base: Path) -> None:
    response = client(base).get("/?image=12")
    assert response.status_code == 404
    assert "There is no test image 12; they are numbered 0 to 11." in response.text


def test_the_versions_that_the_server_has_are_listed_with_what_they_do(base: Path) -> None:
    says = Says()
    says.has["mnist-service:9000"] = (
        Version(1763900001, "END", "its checksums <differ>"),
        Version(1763900000, "AVAILABLE"),
    )
    page = client(base, says).get("/").text
    assert "was refused: its checksums &lt;differ&gt;" in page
    assert re.findall(r">(1763\d+)</a>", page) == ["1763900001", "1763900000"]


def test_the_card_on_show_is_the_answering_versions_unless_another_is_chosen(tmp_path: Path) -> None:
    for version in (5, 6):
        publish(tmp_path, version)
    app = client(tmp_path, Says(version=6))
    assert "<small>of version 6</small>" in app.get("/").text
    assert "<small>of version 5</small>" in app.get("/?card=5").text


def test_two_versions_that_answer_are_compared_on_the_same_image(base: Path) -> None:
    says = Says()
    says.has["mnist-service:9000"] = (Version(6, "AVAILABLE"), Version(5, "AVAILABLE"), Version(4, "END"))
    page = client(base, says).get("/?image=3").text
    opinions = page[page.index('id="opinions"') :]
    assert re.findall(r'<th scope="row"><span class="number">(\d+)', opinions)[:2] == ["6", "5"]
    assert len({asked[2] for asked in says.asked}) == 1
    assert len(says.asked) == 3  # the answer itself, and one of each


def test_one_version_alone_is_compared_with_nothing(base: Path) -> None:
    says = Says()
    assert 'id="opinions"' not in client(base, says).get("/").text
    assert len(says.asked) == 1


def test_without_test_images_the_page_says_train_first(tmp_path: Path) -> None:
    response = client(tmp_path).get("/")
    assert response.status_code == 503
    assert "<strong>Not ready.</strong> There are no test images yet: train a model first." in response.text


def test_a_version_trained_on_the_stand_in_set_wears_a_banner(tmp_path: Path) -> None:
    publish(tmp_path, 1763900000, stand_in=True)
    page = client(tmp_path).get("/").text
    assert "Trained on the stand-in data set." in page
    assert "from scikit-learn’s digits</small>" in page


def test_the_banner_follows_the_version_that_answered_not_the_newest(tmp_path: Path) -> None:
    publish(tmp_path, 5, stand_in=True)
    publish(tmp_path, 6, stand_in=False)
    says = Says(version=5)
    app = client(tmp_path, says)
    assert "stand-in" in app.get("/").text
    says.version = 6
    assert "stand-in" not in app.get("/").text


def test_another_models_version_is_not_looked_up_in_our_folder(tmp_path: Path) -> None:
    publish(tmp_path, 1763900000, stand_in=True)
    assert "stand-in" not in client(tmp_path).get("/?name=other").text


@pytest.mark.parametrize("card", [b"", b"{", b"[]", b'{"dataset": 3}', b"[" * 100_000, b"\xff"], ids=range(6))
def test_a_broken_model_card_costs_the_banner_and_nothing_else(base: Path, card: bytes) -> None:
    (base / "1763900000" / "model_card.json").write_bytes(card)
    response = client(base).get("/")
    assert response.status_code == 200
    assert "stand-in" not in response.text


def test_healthz_is_well_without_a_model_server_or_images(tmp_path: Path) -> None:
    response = client(tmp_path / "none", Says(problems.ServerDown("down"))).get("/healthz")
    assert (response.status_code, response.text) == (200, "ok\n")


def test_a_page_is_not_kept_so_that_every_load_asks_again(base: Path) -> None:
    assert client(base).get("/").headers["Cache-Control"] == "no-store"


def test_a_picture_may_be_larger_than_a_form(base: Path) -> None:
    sent = {"file": (io.BytesIO(b"GIF89a" + bytes(400_000)), "one.png")}
    response = client(base).post("/", data=sent)
    assert response.status_code == 415  # and not 413, which a form's own limit would give
