"""Which version answers, asked of a server that says what a test has it say."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from conftest import free_ports
from pipeline import client, rollout
from pipeline.config import load
from pipeline.errors import RunFailed


class Server:
    """Answers on a gRPC and a REST port: `answers` by label ("" without one), `statuses` one after the other."""

    def __init__(self) -> None:
        self.answers: dict[str, int] = {"": 200, "stable": 200}
        self.statuses: list[list[dict[str, Any]]] = [[{"version": "200", "state": "AVAILABLE"}]]
        self.health = health.HealthServicer()
        self.health.set("", health_pb2.HealthCheckResponse.SERVING)
        port, rest = free_ports(2)
        self.grpc, self.rest = f"127.0.0.1:{port}", f"127.0.0.1:{rest}"

    def predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        label = request.model_spec.version_label
        if label not in self.answers:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
        response = client.messages()[1]()
        response.model_spec.version.value = self.answers[label]
        response.outputs["predictions"].float_val.extend([0.1] * 10)
        response.outputs["classes"].int64_val.append(7)
        return response

    def status(self) -> list[dict[str, Any]]:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]

    def started(self) -> tuple[grpc.Server, http.server.ThreadingHTTPServer]:
        """Both, listening."""
        request, _ = client.messages()
        handler = grpc.unary_unary_rpc_method_handler(
            self.predict, request.FromString, lambda one: one.SerializeToString()
        )
        api = grpc.server(ThreadPoolExecutor(2))
        service = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", {"Predict": handler})
        api.add_generic_rpc_handlers((service,))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, api)
        api.add_insecure_port(self.grpc)
        api.start()
        host, port = self.rest.split(":")
        page = http.server.ThreadingHTTPServer((host, int(port)), type("Page", (Page,), {"of": self}))
        threading.Thread(target=page.serve_forever, args=(0.02,), daemon=True).start()
        return api, page


class Page(http.server.BaseHTTPRequestHandler):
    of: Server

    def do_GET(self) -> None:  # http.server's name for it
        body = json.dumps({"model_version_status": self.of.status()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(rollout, "patience", lambda settings: 0.3)
    made = Server()
    api, page = made.started()
    yield made
    api.stop(None).wait()
    page.shutdown()
    page.server_close()


def asked(server: Server) -> None:
    rollout.answering(load("local").settings, "200", server.grpc, server.rest)


def test_a_server_on_which_the_version_answers_in_both_ways_is_well(server: Server) -> None:
    asked(server)


def test_another_version_that_answers_a_request_that_names_none_is_told(server: Server) -> None:
    server.answers[""] = 100
    with pytest.raises(RunFailed, match=r"asked without a version, 100 answers at 127\.0\.0\.1:\d+, not 200") as caught:
        asked(server)
    assert caught.value.code == 1


def test_another_version_behind_the_label_is_told(server: Server) -> None:
    server.answers["stable"] = 100
    with pytest.raises(RunFailed, match="asked by the label stable, 100 answers"):
        asked(server)


def test_a_label_that_the_server_does_not_know_is_told_in_its_words(server: Server) -> None:
    del server.answers["stable"]
    with pytest.raises(RunFailed, match=r"nobody \(.*INVALID_ARGUMENT: Unrecognized servable version label: stable\)"):
        asked(server)


def test_a_server_that_is_not_healthy_is_told(server: Server) -> None:
    server.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    with pytest.raises(RunFailed, match="says that it is NOT_SERVING"):
        asked(server)


REFUSED = {"version": "200", "state": "END", "status": {"error_code": "INTERNAL", "error_message": "no graph"}}


def test_a_refusal_that_comes_while_one_waits_is_told_at_once(server: Server) -> None:
    server.statuses = [[], [], [REFUSED]]
    with pytest.raises(client.NotServed, match="the model server refuses version 200: no graph"):
        client.until_served(server.rest, "mnist", "200", limit=20, look=20)


def test_what_was_refused_before_is_given_the_time_to_be_loaded_anew(server: Server) -> None:
    server.statuses = [[REFUSED]] * 4 + [
        [{"version": "200", "state": "LOADING"}],
        [{"version": "200", "state": "AVAILABLE"}],
    ]
    client.until_served(server.rest, "mnist", "200", limit=20, look=20)


def test_what_was_refused_before_and_still_is_after_that_time_is_told(server: Server) -> None:
    server.statuses = [[REFUSED]]
    with pytest.raises(client.NotServed, match="no graph"):
        client.until_served(server.rest, "mnist", "200", limit=20, look=0.3)


def test_a_version_that_never_comes_is_told_with_what_there_is(server: Server) -> None:
    server.statuses = [[{"version": "100", "state": "AVAILABLE"}]]
    with pytest.raises(client.NotServed, match=r"version 200 is not served after 0\.3 s; there is: 100 AVAILABLE"):
        client.until_served(server.rest, "mnist", "200", limit=0.3)
