"""The page with a predictor of the test's own: what it shows, which status it has, what it refuses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from webui import create_app, problems
from webui.page import percent
from webui.servers import Server
from webui.serving_api import Prediction
from webui.settings import Settings

from tests.web_ui.conftest import publish

SHARES = (0.0, 0.001, 0.01, 0.02, 0.03, 0.04, 0.05, 0.8, 0.049, 0.0)


class Says:
    """A predictor that says 7, or raises; it remembers what it was asked."""

    def __init__(self, problem: BaseException | None = None, version: int = 1763900000) -> None:
        self.problem, self.version, self.asked = problem, version, []

    def predict(self, server: Server, model: str, image: bytes | Sequence[float]) -> Prediction:
        self.asked.append((str(server), model, image))
        if self.problem:
            raise self.problem
        return Prediction(7, SHARES, self.version, 3.25)


def client(base: Path | str, predictor: Says | None = None, **changes: object) -> FlaskClient:
    settings = Settings(model_base_path=str(base), **changes)
    return create_app(predictor or Says(), settings).test_client()


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
    app = client(base, says, allowed=(Server("h", 80),))
    page = app.get("/?name=m&addr=h&port=80").text
    for _ in range(30):
        link = re.search(r'href="([^"]+)">Another image<', page)[1].replace("&amp;", "&")
        page = app.get(link).text
        assert "name=m&addr=h&port=80&after=" in link
        assert says.asked[-1][:2] == ("h:80", "m")
        assert says.asked[-1][2] != says.asked[-2][2]


@pytest.mark.parametrize(
    ("query", "status", "says", "field"),
    [
        ("port=ninety", 400, "The port is a whole number from 1 to 65535.", "port"),
        ("port=", 400, "The port is a whole number", "port"),
        ("port=70000", 400, "The port is a whole number", "port"),
        ("addr=", 400, "The server address is a host name", "addr"),
        ("addr=http://x/", 400, "The server address is a host name", "addr"),
        ("name=", 400, "The model name takes letters", "name"),
        ("name=a/b", 400, "The model name takes letters", "name"),
        ("port=9001", 403, "may not connect to mnist-service:9001, only to mnist-service:9000.", "port"),
        ("addr=169.254.169.254&port=80", 403, "may not connect to 169.254.169.254:80", "addr"),
    ],
)
def test_a_field_that_cannot_be_is_said_and_marked_and_nobody_is_asked(
    base: Path, query: str, status: int, says: str, field: str
) -> None:
    predictor = Says()
    response = client(base, predictor).get(f"/?{query}")
    assert response.status_code == status
    assert says in response.text
    assert re.search(rf'id="{field}"[^>]* aria-invalid="true" aria-describedby="problem"', response.text)
    assert ">Connect</button>" in response.text
    assert predictor.asked == []


@pytest.mark.parametrize(
    "addr",
    [
        *("169.254.169.254", "metadata.google.internal", "localhost", "127.0.0.1", "0.0.0.0", "[::1]"),  # noqa: S104
        *("::ffff:127.0.0.1", "2130706433", "0x7f000001", "127.1", "mnist-service.", "mnist-service@evil"),
        *(
            "unix:///run/x.sock",
            "dns:///mnist-service",
            "mnist-service:9000",
            "mnist-service%2eevil",
            "evil,mnist-service",
        ),
    ],
)
def test_fault_63_no_other_server_can_be_named(base: Path, addr: str) -> None:
    predictor = Says()
    response = client(base, predictor).get("/", query_string={"addr": addr})
    assert response.status_code in (400, 403)
    assert predictor.asked == []


def test_fault_63_a_second_value_for_a_field_does_not_slip_past(base: Path) -> None:
    predictor = Says()
    client(base, predictor).get("/?addr=mnist-service&addr=evil&port=9000&port=22")
    assert [asked[0] for asked in predictor.asked] == ["mnist-service:9000"]


def test_a_listed_server_may_be_named_in_any_spelling(base: Path) -> None:
    predictor = Says()
    app = client(base, predictor, allowed=(Server("mnist-service", 9000), Server("::1", 9000)))
    assert app.get("/?addr=MNIST-Service").status_code == 200
    assert app.get("/?addr=[0:0::1]").status_code == 200
    assert [asked[0] for asked in predictor.asked] == ["mnist-service:9000", "[::1]:9000"]


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


def test_without_test_images_the_page_says_train_first(tmp_path: Path) -> None:
    response = client(tmp_path).get("/")
    assert response.status_code == 503
    assert "<strong>Not ready.</strong> There are no test images yet: train a model first." in response.text


MARKUP = "\"><script>alert(1)</script>{{ 7*7 }}' onload=x"


@pytest.mark.parametrize("field", ["name", "addr", "port"])
def test_fault_64_text_from_the_form_is_never_markup(base: Path, field: str) -> None:
    page = client(base).get("/", query_string={field: MARKUP}).text
    assert "<script" not in page
    assert f'value="{escape(MARKUP).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")}"' in page


def test_fault_64_text_from_a_model_server_is_never_markup(base: Path) -> None:
    page = client(base, Says(problems.UnknownModel("no <b>model</b>", "name"))).get("/?name=x").text
    assert "no &lt;b&gt;model&lt;/b&gt;" in page


@limits(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(query=st.dictionaries(st.sampled_from(["name", "addr", "port", "after"]), st.text(max_size=40)))
def test_whatever_the_form_holds_the_page_is_there_and_nobody_else_is_asked(
    base: Path, query: dict[str, str]
) -> None:
    predictor = Says()
    response = client(base, predictor).get("/", query_string=query)
    assert response.status_code in (200, 400, 403)
    assert ">Connect</button>" in response.text
    assert {asked[0] for asked in predictor.asked} <= {"mnist-service:9000"}


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


@pytest.mark.parametrize("path", ["/", "/?port=x", "/healthz", "/nope", "/static/style.css", "/?addr=evil"])
def test_fault_69_every_answer_carries_the_security_headers(base: Path, path: str) -> None:
    with client(base).get(path) as response:  # a style sheet is a file until it is closed
        headers = response.headers
    rules = dict(rule.strip().partition(" ")[::2] for rule in headers["Content-Security-Policy"].split(";"))
    assert rules["default-src"] == rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_fault_69_the_page_needs_no_script_no_inline_style_and_nothing_from_outside(base: Path) -> None:
    page = client(base).get("/").text
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://|//[a-z]", page)


def test_a_page_is_not_kept_so_that_every_load_asks_again(base: Path) -> None:
    assert client(base).get("/").headers["Cache-Control"] == "no-store"


def test_fault_68_a_crash_shows_neither_a_trace_nor_its_words(base: Path) -> None:
    response = client(base, Says(ZeroDivisionError("secret words"))).get("/")
    assert response.status_code == 500
    assert "Internal Server Error" in response.text
    assert not re.search("Traceback|secret|ZeroDivision|File ", response.text)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_fault_67_nothing_can_be_changed_from_another_site(base: Path, method: str) -> None:
    response = getattr(client(base), method)("/", data={"name": "x"})
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("host", ["", "a b", "a/b", "<script>", "a:port", "a@b", "[::1", "x" * 300, "a\tb"])
def test_fault_70_a_malformed_host_is_refused(base: Path, host: str) -> None:
    response = client(base).get("/", headers={"Host": host})
    assert response.status_code == 400
    assert "<script" not in response.text


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "mnist.example.org", "[::1]:8080", "10.0.0.7"])
def test_fault_70_an_honest_host_is_served_and_never_written_into_the_page(base: Path, host: str) -> None:
    response = client(base).get("/", headers={"Host": host})
    assert response.status_code == 200
    assert host not in response.text
