"""Fault 71: clients that are slow, on purpose or not, cost honest ones nothing, and are cut off in time."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.web_ui.conftest import Ui, publish, running_ui, wait_until
from tests.web_ui.model_server import Behaviour, serve

REQUEST_S = 3
"""The clients' time here; 30 s in earnest."""

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: a"
BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\na"
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Slow:
    """Many clients that send `first`, then a byte now and then until it is over; they read nothing."""

    def __init__(self, port: int, count: int, first: bytes, drip: bytes, receive_bytes: int = 0) -> None:
        self.clients = [self._connect(port, receive_bytes) for _ in range(count)]
        self.drip = drip
        self.over = threading.Event()
        for each in self.clients:
            each.sendall(first)
        self.thread = threading.Thread(target=self._drip)

    def __enter__(self) -> Slow:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        for each in self.clients:
            each.close()

    def _connect(self, port: int, receive_bytes: int) -> socket.socket:
        client = socket.socket()
        if receive_bytes:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        client.connect(("127.0.0.1", port))
        return client

    def _drip(self) -> None:
        """A byte from each in turn, so that each sends one about every second."""
        for client in itertools.cycle(self.clients):
            if self.over.wait(1 / len(self.clients)):
                return
            with contextlib.suppress(OSError):  # it was cut off
                client.send(self.drip)


KINDS = {
    "300 idle": (300, b"", b"", 0),
    "1000 idle": (1000, b"", b"", 0),
    "300 that send empty lines": (300, b"", b"\r\n\r\n", 0),
    "600 half headers": (600, HEAD, b"a", 0),
    "300 slow bodies": (300, BODY, b"a", 0),
    "300 bodies that stop in the middle": (300, BODY.replace(b"1000", b"900000") + bytes(300_000), b"", 0),
    "300 slow readers": (300, ASK, b"", 2048),
    "300 who ask a hundred times and read nothing": (300, ASK * 100, b"", 2048),
}


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """One page that outlives all of them."""
    folder = tmp_path_factory.mktemp("slow")
    publish(folder / "export", 1763900000)
    server, port = serve(Behaviour())
    variables = {"MODEL_SERVER_ADDRESS": "127.0.0.1", "MODEL_SERVER_PORT": port, "MODEL_BASE_PATH": folder / "export"}
    with running_ui(folder / "ui.log", f"--request-seconds={REQUEST_S}", **variables) as started:
        yield started
    server.stop(0).wait()


@pytest.mark.timed
@pytest.mark.parametrize("kind", KINDS)
def test_fault_71_slow_clients_cost_honest_ones_nothing_and_are_cut_off_in_time(ui: Ui, kind: str) -> None:
    count, first, drip, receive_bytes = KINDS[kind]
    honest(ui)  # what loads lazily is loaded
    with Slow(ui.port, count, first, drip, receive_bytes):
        if first.startswith(ASK):  # first comes the load that their own requests are
            wait_until(lambda: honest(ui) < 0.2, 10, lambda: "300 pages took 10 s")
        took = [honest(ui) for _ in range(10)]
        held, resident = connections(ui), ui.measured.memory_info().rss / 1e6
        print(f"{kind}: honest ones at most {max(took) * 1000:.0f} ms, {held} held, {resident:.0f} MB resident")
        assert max(took) < 1.0
        assert resident < 100
        assert held >= count * 0.9 or "hundred" in kind  # they were there, all the time
        wait_until(lambda: connections(ui) == 0, REQUEST_S + 6, lambda: f"{connections(ui)} are still connected")
        assert honest(ui) < 1.0
    assert "Traceback" not in ui.log.read_text()


def honest(ui: Ui) -> float:
    """Seconds that a page takes; it must be there."""
    began = time.monotonic()
    assert ui.get()[0] == 200
    return time.monotonic() - began


def connections(ui: Ui) -> int:
    """Connections that the process holds with its clients."""
    return sum(one.laddr.port == ui.port and bool(one.raddr) for one in ui.measured.net_connections("tcp"))
