"""Asking model servers over real sockets: answers, each kind of failure, and recovery."""

from __future__ import annotations

import http.server
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.web_ui import model_server
from tests.web_ui.conftest import free_port
from tests.web_ui.model_server import Behaviour
from webui import problems
from webui.addresses import Addresses
from webui.client import Predictor
from webui.lookups import Lookups
from webui.servers import Server

IMAGE = bytes(range(256)) * 3 + bytes(16)


def test_the_answer_and_the_version_come_from_the_server(
    predictor: Predictor, model_port: int, behaviour: Behaviour
) -> None:
    behaviour.digit, behaviour.version = 4, 1763900002
    prediction = predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE)
    assert (prediction.digit, prediction.version) == (4, 1763900002)
    assert 0 < prediction.latency_ms < 2000


def test_the_server_sees_the_model_the_signature_and_784_floats(
    predictor: Predictor, model_port: int, behaviour: Behaviour
) -> None:
    predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE)
    (seen,) = behaviour.requests
    assert (seen.model_spec.name, seen.model_spec.signature_name) == ("mnist", "serving_default")
    tensor = seen.inputs["x"]
    assert [dim.size for dim in tensor.tensor_shape.dim] == [1, 784]
    floats = memoryview(tensor.tensor_content).cast("f")
    assert (floats[0], floats[255]) == (0.0, 1.0)


def test_a_version_that_changes_shows_at_the_next_call(
    predictor: Predictor, model_port: int, behaviour: Behaviour
) -> None:
    server = Server("127.0.0.1", model_port)
    versions = []
    for behaviour.version in (5, 6):
        versions.append(predictor.predict(server, "mnist", IMAGE).version)
    assert versions == [5, 6]


@pytest.mark.parametrize(
    ("code", "kind", "status", "says"),
    [
        ("NOT_FOUND", problems.UnknownModel, 404, "serves no model “mnist”"),
        ("INVALID_ARGUMENT", problems.BadAnswer, 502, "does not take a 28×28 image"),
        ("RESOURCE_EXHAUSTED", problems.NotReady, 503, "too busy"),
        ("UNAVAILABLE", problems.ServerDown, 502, "No model server answers at 127.0.0.1:"),
        ("CANCELLED", problems.ServerDown, 502, "No model server answers at 127.0.0.1:"),
        ("DEADLINE_EXCEEDED", problems.TooSlow, 504, "no answer within 2 seconds"),
        ("INTERNAL", problems.BadAnswer, 502, r"failed \(INTERNAL\)"),
    ],
)
def test_a_failure_becomes_a_sentence_and_a_status(
    predictor: Predictor,
    model_port: int,
    behaviour: Behaviour,
    code: str,
    kind: type[problems.Problem],
    status: int,
    says: str,
) -> None:
    behaviour.error = (grpc.StatusCode[code], "its own\nwords")
    with pytest.raises(kind, match=says) as caught:
        predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE)
    assert caught.value.status == status
    assert "its own" not in caught.value.sentence


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED], ids=lambda code: code.name)
def test_a_server_that_goes_in_the_middle_of_a_call_is_asked_once_more(
    predictor: Predictor, model_port: int, behaviour: Behaviour, code: grpc.StatusCode
) -> None:
    behaviour.error, behaviour.failures = (code, "stopping"), 1
    assert predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE).digit == behaviour.digit
    behaviour.failures = 2
    with pytest.raises(problems.ServerDown):
        predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE)


def test_a_server_that_refuses_is_not_asked_again(predictor: Predictor, model_port: int, behaviour: Behaviour) -> None:
    behaviour.error, behaviour.failures = (grpc.StatusCode.INTERNAL, "no"), 1
    with pytest.raises(problems.BadAnswer):
        predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE)
    assert len(behaviour.requests) == 1


def test_the_servers_own_words_are_one_line_in_the_log(
    predictor: Predictor, model_port: int, behaviour: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    behaviour.error = (grpc.StatusCode.INTERNAL, "first\nsecond " + "x" * 1000)
    with caplog.at_level(logging.WARNING, "webui"), pytest.raises(problems.BadAnswer):
        predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE)
    (line,) = caplog.messages
    assert "INTERNAL: first second x" in line
    assert "\n" not in line
    assert len(line) < 400


@pytest.mark.parametrize("raw", [b"", b"\xff\xff\xff", b"<html>"])
def test_fault_65_an_answer_that_is_none_is_a_problem_not_a_crash(
    predictor: Predictor, model_port: int, behaviour: Behaviour, raw: bytes
) -> None:
    behaviour.raw = raw
    with pytest.raises(problems.BadAnswer, match="answered, but"):
        predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE)


def test_fault_65_an_answer_over_a_megabyte_is_refused(
    predictor: Predictor, model_port: int, behaviour: Behaviour
) -> None:
    behaviour.raw = bytes(3 << 20)
    with pytest.raises(problems.Problem):
        predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE)


@pytest.mark.timed
def test_fault_65_a_server_that_hangs_ends_at_the_deadline(model_port: int, behaviour: Behaviour) -> None:
    behaviour.delay_s = 3.0
    predictor = Predictor(deadline_s=0.3)
    began = time.monotonic()
    with pytest.raises(problems.TooSlow, match=r"no answer within 0\.3 seconds"):
        predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE)
    assert time.monotonic() - began < 1.5
    predictor.close()


@pytest.mark.timed
def test_fault_65_a_port_nobody_listens_on_is_said_at_once(predictor: Predictor) -> None:
    began = time.monotonic()
    with pytest.raises(problems.ServerDown, match="No model server answers"):
        predictor.predict(Server("127.0.0.1", free_port()), "mnist", IMAGE)
    assert time.monotonic() - began < 1.0


def test_fault_65_a_name_that_does_not_resolve_is_a_server_that_is_not_there(predictor: Predictor) -> None:
    with pytest.raises((problems.ServerDown, problems.TooSlow)):
        predictor.predict(Server("nobody.invalid", 9000), "mnist", IMAGE)


@pytest.mark.timed
def test_fault_65_a_resolver_that_hangs_costs_the_deadline_and_no_more(model_port: int) -> None:
    over = threading.Event()
    lookups = Lookups(lambda _: ["127.0.0.1"] if over.wait(10) else [])
    predictor = Predictor(deadline_s=0.3, addresses=Addresses(lookups=lookups))
    began = time.monotonic()
    with pytest.raises(problems.TooSlow, match=r"Nobody said within 0\.3 seconds where localhost:"):
        predictor.predict(Server("localhost", model_port), "mnist", IMAGE)
    assert time.monotonic() - began < 1.5
    predictor.close()
    over.set()
    patient = Predictor(deadline_s=10, addresses=Addresses(lookups=lookups))
    assert patient.predict(Server("localhost", model_port), "mnist", IMAGE).digit == 7
    patient.close()


@pytest.fixture
def web_server() -> Iterator[int]:
    """A server that speaks HTTP/1.1 and no gRPC."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: the test's output is for the test."""


def test_fault_65_a_server_that_speaks_no_grpc_is_said(predictor: Predictor, web_server: int) -> None:
    with pytest.raises((problems.ServerDown, problems.BadAnswer)):
        predictor.predict(Server("127.0.0.1", web_server), "mnist", IMAGE)


@pytest.mark.timed
def test_fault_65_a_server_that_accepts_and_says_nothing_ends_at_the_deadline() -> None:
    predictor = Predictor(deadline_s=1.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        with pytest.raises((problems.TooSlow, problems.ServerDown)):
            predictor.predict(Server("127.0.0.1", mute.getsockname()[1]), "mnist", IMAGE)
        assert time.monotonic() - began < 3.0
        predictor.close()


def test_too_many_calls_at_once_are_refused_and_later_ones_are_not(model_port: int, behaviour: Behaviour) -> None:
    behaviour.delay_s = 1.0
    predictor = Predictor(deadline_s=5.0, most_at_once=4)

    def ask(_: int) -> str:
        try:
            return str(predictor.predict(Server("127.0.0.1", model_port), "mnist", IMAGE).digit)
        except problems.NotReady as busy:
            return busy.sentence

    with ThreadPoolExecutor(10) as visitors:
        answers = list(visitors.map(ask, range(10)))
    behaviour.delay_s = 0.0
    assert answers.count("7") == 4
    assert answers.count("Too many predictions are waiting already; try again shortly.") == 6
    assert ask(0) == "7"
    predictor.close()


def test_many_threads_share_one_connection(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, model_port: int
) -> None:
    opened: list[str] = []
    real = grpc.insecure_channel
    monkeypatch.setattr(grpc, "insecure_channel", lambda to, options: opened.append(to) or real(to, options))
    with ThreadPoolExecutor(16) as visitors:
        server = Server("127.0.0.1", model_port)
        done = visitors.map(lambda _: predictor.predict(server, "mnist", IMAGE).digit, range(64))
        assert set(done) == {7}
    assert opened == [f"ipv4:127.0.0.1:{model_port}"]


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch, model_port: int) -> None:
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    predictor = Predictor(deadline_s=2.0)
    assert predictor.predict(Server("localhost", model_port), "mnist", IMAGE).digit == 7
    predictor.close()


def start_model_server(port: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, model_server.__file__, str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert process.stdout
    assert process.stdout.readline() == f"{port}\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.mark.timed
def test_a_server_that_was_killed_and_is_back_is_found_within_three_seconds(predictor: Predictor) -> None:
    port = free_port()
    server = Server("127.0.0.1", port)
    first = start_model_server(port)
    assert predictor.predict(server, "mnist", IMAGE).digit == 7
    kill(first)
    for _ in range(100):  # ten seconds of asking in vain must not make the channel slow to notice
        with pytest.raises(problems.ServerDown):
            predictor.predict(server, "mnist", IMAGE)
        time.sleep(0.1)
    second = start_model_server(port)
    began = time.monotonic()
    try:
        while True:
            try:
                assert predictor.predict(server, "mnist", IMAGE).digit == 7
                break
            except problems.ServerDown:
                assert time.monotonic() - began < 3.0
                time.sleep(0.05)
    finally:
        kill(second)
    print(f"found again after {time.monotonic() - began:.2f} s")
