"""Ports of the host's loopback are reached from here."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import free_ports
from pipeline.errors import RunFailed
from pipeline.there import There


@contextlib.contextmanager
def shouting() -> Iterator[int]:
    """A server on the loopback that answers in capitals."""

    class Shout(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(self.rfile.read().upper())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Shout) as made:
        threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
        yield made.server_address[1]
        made.shutdown()


def answer(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 10) as one:
        one.sendall(text)
        one.shutdown(socket.SHUT_WR)
        with one.makefile("rb") as file:
            return file.read()


def test_a_forwarded_port_leads_to_the_hosts_loopback(there: There) -> None:
    (local,) = free_ports(1)
    with shouting() as port, there.forward(local, port), ThreadPoolExecutor(8) as pool:
        texts = [b"abc", b"x" * 1_000_000, b""] * 4
        assert list(pool.map(lambda text: answer(local, text), texts)) == [text.upper() for text in texts]


def test_a_forwarded_port_outlives_a_refused_connection(there: There) -> None:
    local, port = free_ports(2)
    with there.forward(local, port):
        with contextlib.suppress(ConnectionError):
            assert answer(local, b"abc") == b""
        with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", local), 10):
            server.settimeout(10)
            server.accept()[0].close()


def test_a_forwarded_port_is_free_again_afterwards(there: There) -> None:
    local, port = free_ports(2)
    with there.forward(local, port):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", local), 1)


def test_a_local_port_that_is_taken_is_one_sentence(there: There) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RunFailed, match=f"port {port} of this machine cannot be had"), there.forward(port, 1):
            pass
