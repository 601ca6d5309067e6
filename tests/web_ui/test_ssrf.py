"""Fault 63: nothing that a visitor types makes the page connect where it may not; a real listener would know."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.web_ui.attempts import ATTEMPTS, HOME, METADATA, PORT, Attempt
from tests.web_ui.conftest import publish
from tests.web_ui.model_server import Behaviour, serve
from tests.web_ui.test_api import picture
from tests.web_ui.test_upload import send
from webui import create_app
from webui.addresses import Addresses
from webui.allowed import Allowed, Namespace
from webui.client import Predictor
from webui.lookups import Lookups
from webui.servers import Server
from webui.settings import Settings

IMAGE = {"image": [0.5] * 784}
DOORS: dict[str, Callable[[FlaskClient, dict[str, str]], TestResponse]] = {
    "page": lambda client, query: client.get("/", query_string=query),
    "upload": lambda client, query: send(client, picture(), **query),
    "predict": lambda client, query: client.post("/api/predict", query_string=query, json=IMAGE),
    "a version": lambda client, query: client.post("/api/predict", query_string=query | {"version": "1"}, json=IMAGE),
    "models": lambda client, query: client.get("/api/models", query_string=query),
}
"""Every way to have the page ask a server."""


class Listener:
    """Listens at one port of every address of this machine, counts who connects, and answers each with `answer`."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer, self.connections = answer, 0
        self._socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                if self._socket.gettimeout() == 0.0:
                    return
                self.connections += 1
                with contextlib.suppress(OSError):
                    connection.sendall(self.answer)
                    connection.settimeout(2)
                    connection.recv(1 << 16)

    def close(self) -> None:
        self._socket.settimeout(0)
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        self._thread.join()
        self._socket.close()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


class Dns:
    """A resolver: names of the cluster lead to `leads_to`, in turn where there are several; it keeps the questions."""

    def __init__(self, *leads_to: tuple[str, ...]) -> None:
        self.leads_to, self.asked = list(leads_to), []

    def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        answer = self.leads_to.pop(0) if len(self.leads_to) > 1 else self.leads_to[0] if self.leads_to else ()
        if not answer:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return list(answer)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    publish(folder, 1763900000)
    return folder


@contextlib.contextmanager
def app(base: Path, allowed: Allowed, dns: Dns) -> Iterator[FlaskClient]:
    """The real app with the real client; names are looked up at `dns`, at each request."""
    predictor = Predictor(deadline_s=2.0, addresses=Addresses(allowed, lookups=Lookups(dns, keep_s=0, spare_s=0)))
    settings = Settings(address="mnist-service", model_base_path=str(base), allowed=allowed)
    yield create_app(predictor, settings).test_client()
    predictor.close()


def on_a_cluster(port: int) -> Allowed:
    return Allowed((Server("mnist-service", port), Namespace(HOME, port)), HOME)


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What gRPC was told to dial, which may lie where no listener of ours can be."""
    opened: list[str] = []
    real = grpc.insecure_channel
    monkeypatch.setattr(grpc, "insecure_channel", lambda to, options: opened.append(to) or real(to, options))
    return opened


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.id)
def test_fault_63_an_attempt_is_refused_and_nobody_is_connected_to(
    base: Path, listener: Listener, targets: list[str], attempt: Attempt
) -> None:
    dns, before = Dns(attempt.leads_to), listener.connections
    port = str(listener.port) if attempt.port == PORT else attempt.port
    with app(base, on_a_cluster(listener.port), dns) as client:
        responses = {door: ask(client, {"addr": attempt.addr, "port": port}) for door, ask in DOORS.items()}
    assert {response.status_code for response in responses.values()} <= {400, 403}
    assert 'role="alert"' in responses["page"].text
    assert (targets, listener.connections) == ([], before)
    assert len(dns.asked) == (len(DOORS) if attempt.leads_to else 0)
    assert all(name.endswith(f".{HOME}.svc.cluster.local.") for name in dns.asked)


def test_the_listener_would_notice(base: Path, listener: Listener) -> None:
    before = listener.connections
    with app(base, Allowed((Server("127.0.0.1", listener.port),)), Dns()) as client:
        assert client.get("/", query_string={"addr": "127.0.0.1", "port": listener.port}).status_code >= 500
    assert listener.connections > before


def test_there_are_many_attempts_and_no_two_are_the_same() -> None:
    assert len(set(ATTEMPTS)) == len(ATTEMPTS) >= 60


TYPED = st.one_of(
    st.text(max_size=60),
    st.ip_addresses().map(str),
    st.from_regex(r"(0x[0-9a-f]{1,8}|0[0-7]{1,11}|[0-9]{1,10})(\.(0x)?[0-9a-f]{1,3}){0,3}", fullmatch=True),
    st.lists(st.sampled_from(["mnist-service", HOME, "svc", "cluster", "local", "localhost", "127", "x", ""])).map(
        ".".join
    ),
)


@limits(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(addr=TYPED, port=st.integers(1, 65535).map(str) | st.just(PORT), leads_to=st.ip_addresses().map(str))
def test_fault_63_whatever_is_typed_only_services_of_the_namespace_are_looked_up(
    base: Path, listener: Listener, addr: str, port: str, leads_to: str
) -> None:
    dns, before = Dns(()), listener.connections
    with app(base, on_a_cluster(listener.port), dns) as client:
        response = client.get("/", query_string={"addr": addr, "port": port or listener.port})
    assert response.status_code in (400, 403, 502)
    assert (response.status_code == 502) is bool(dns.asked)
    assert all(name.endswith(f".{HOME}.svc.cluster.local.") for name in dns.asked)
    assert listener.connections == before


@pytest.fixture(scope="module")
def model_port() -> Iterator[int]:
    server, port = serve(Behaviour())
    yield port
    server.stop(0).wait()


@pytest.mark.parametrize("then", [METADATA, "192.0.2.7", "::ffff:169.254.169.254"])
def test_fault_63_a_name_that_leads_elsewhere_later_is_refused_then(
    base: Path, model_port: int, targets: list[str], then: str
) -> None:
    dns = Dns(("127.0.0.1",), (then,))
    with app(base, Allowed((Server("localhost", model_port),)), dns) as client:
        query = {"addr": "localhost", "port": str(model_port)}
        assert [DOORS["predict"](client, query).status_code for _ in range(3)] == [200, 403, 403]
    assert targets == [f"ipv4:127.0.0.1:{model_port}"]


def test_fault_63_the_address_that_was_judged_is_the_one_that_is_dialled(
    base: Path, model_port: int, targets: list[str]
) -> None:
    dns = Dns(("127.0.0.1",), (METADATA,))  # a second look-up of the same request would get the other answer
    with app(base, Allowed((Server("localhost", model_port),)), dns) as client:
        assert DOORS["predict"](client, {"addr": "localhost", "port": str(model_port)}).status_code == 200
    assert (len(dns.asked), targets) == (1, [f"ipv4:127.0.0.1:{model_port}"])


def http1(status: str, to: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def http2(status: str, to: str) -> bytes:
    """What an HTTP/2 server says to the first request, stream 1: its settings, then headers (RFC 9113, 7541)."""
    location = to.encode()
    # Fields 8 and 46 of HPACK's table, :status and location, each with a plain value.
    block = b"\x08\x03" + status[:3].encode() + b"\x0f\x1f" + bytes([len(location)]) + location
    frames = ((4, 0, 0, b""), (1, 0x05, 1, block))  # SETTINGS; HEADERS that end headers and stream
    return b"".join(
        len(load).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + load
        for kind, flags, stream, load in frames
    )


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent"])
@pytest.mark.parametrize("speaks", [http1, http2], ids=["HTTP/1.1", "HTTP/2"])
def test_fault_63_a_server_that_redirects_is_no_model_server_and_is_not_followed(
    base: Path, listener: Listener, speaks: Callable[[str, str], bytes], status: str
) -> None:
    before = listener.connections
    redirecting = Listener(speaks(status, f"http://127.0.0.1:{listener.port}/"))
    try:
        with app(base, Allowed((Server("127.0.0.1", redirecting.port),)), Dns()) as client:
            response = client.get("/", query_string={"addr": "127.0.0.1", "port": redirecting.port})
    finally:
        redirecting.close()
    assert response.status_code == 502
    assert redirecting.connections >= 1
    assert listener.connections == before
