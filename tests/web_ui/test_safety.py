"""What the page refuses: other servers, markup, changes from elsewhere, bad hosts; what it never shows."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from tests.web_ui.conftest import Says, client
from webui import problems
from webui.allowed import Allowed
from webui.servers import Server


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
    app = client(base, predictor, allowed=Allowed((Server("mnist-service", 9000), Server("::1", 9000))))
    assert app.get("/?addr=MNIST-Service").status_code == 200
    assert app.get("/?addr=[0:0::1]").status_code == 200
    assert [asked[0] for asked in predictor.asked] == ["mnist-service:9000", "[::1]:9000"]


MARKUP = "\"><script>alert(1)</script>{{ 7*7 }}' onload=x"


@pytest.mark.parametrize("field", ["name", "addr", "port"])
def test_fault_64_text_from_the_form_is_never_markup(base: Path, field: str) -> None:
    page = client(base).get("/", query_string={field: MARKUP}).text
    assert "<script>" not in page
    assert f'value="{escape(MARKUP).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")}"' in page


def test_fault_64_text_from_a_model_server_is_never_markup(base: Path) -> None:
    page = client(base, Says(problems.UnknownModel("no <b>model</b>", "name"))).get("/?name=x").text
    assert "no &lt;b&gt;model&lt;/b&gt;" in page


@limits(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=75)
@given(query=st.dictionaries(st.sampled_from(["name", "addr", "port", "after"]), st.text(max_size=40)))
def test_whatever_the_form_holds_the_page_is_there_and_nobody_else_is_asked(base: Path, query: dict[str, str]) -> None:
    predictor = Says()
    response = client(base, predictor).get("/", query_string=query)
    assert response.status_code in (200, 400, 403)
    assert ">Connect</button>" in response.text
    assert {asked[0] for asked in predictor.asked} <= {"mnist-service:9000"}


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


def test_fault_69_the_page_has_no_inline_script_no_inline_style_and_nothing_from_outside(base: Path) -> None:
    page = client(base).get("/").text
    assert not re.search(r"<style|\sstyle=|\son\w+=|https?://|//[a-z]", page)
    assert re.findall(r"<script[^>]*>(.*?)</script>", page) == [""]  # it lies in a file of ours


def test_fault_68_a_crash_shows_neither_a_trace_nor_its_words(base: Path) -> None:
    response = client(base, Says(ZeroDivisionError("secret words"))).get("/")
    assert response.status_code == 500
    assert "Internal Server Error" in response.text
    assert not re.search("Traceback|secret|ZeroDivision|File ", response.text)


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_fault_67_other_methods_are_refused(base: Path, method: str) -> None:
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
