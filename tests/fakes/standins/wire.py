"""One HTTP request by a socket: http.client alone would double the time in which a stand-in starts."""

from __future__ import annotations

import json
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from typing import Any, BinaryIO


class Answer:
    """Status, headers (names in lower case) and body of a reply."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    @property
    def ok(self) -> bool:
        return self.status < 300


class Unwelcome(Exception):
    """An answer other than 200 to a question for lines."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def trusting(ca: str) -> ssl.SSLContext:
    """TLS with its own certificate authority; only Kubernetes' API has that, and the import is slow."""
    import ssl

    return ssl.create_default_context(cadata=ca)


class Wire:
    """A place that answers: `http://HOST:PORT/base`, or https with its own certificate authority."""

    def __init__(self, url: str, token: str = "", ca: str = "", timeout: float | None = None, agent: str = "") -> None:
        scheme, rest = url.split("://", 1)
        address, _, base = rest.partition("/")
        self.host, _, port = address.partition(":")
        self.port = int(port or {"http": 80, "https": 443}[scheme])
        self.base, self.timeout = f"/{base}".rstrip("/"), timeout
        self.context = trusting(ca) if scheme == "https" else None
        self.headers = {"Host": address, "User-Agent": agent, "Accept": "application/json"}
        self.kept: tuple[socket.socket, BinaryIO] | None = None
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: Any = None, content: str = "application/json", **more: str) -> Answer:
        """The whole answer; OSError if the connection fails or ends early. `more` are further headers.

        One connection serves all questions; one that ends is never silently opened again, so that a fault is felt.
        """
        connection, reader = self.kept = self.kept or self.connect()
        self.send(connection, method, path, body, content, more)
        status, headers = head(reader)
        answer = Answer(status, headers, b"".join(pieces(reader, headers)))
        if headers.get("connection", "").lower() == "close":
            self.kept = None
        return answer

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of an answer, as they come, on a connection of their own; Unwelcome for an answer but 200."""
        connection, reader = self.connect()
        self.send(connection, "GET", path, None, "", {})
        status, headers = head(reader)
        if status != 200:
            raise Unwelcome(Answer(status, headers, b"".join(pieces(reader, headers))))
        connection.settimeout(None)
        left = b""
        for piece in pieces(reader, headers):
            *ended, left = (left + piece).split(b"\n")
            yield from ended
        if left:
            yield left

    def connect(self) -> tuple[socket.socket, BinaryIO]:
        connection = socket.create_connection((self.host, self.port), self.timeout)
        if self.context:
            connection = self.context.wrap_socket(connection, server_hostname=self.host)
        return connection, connection.makefile("rb")

    def send(
        self, connection: socket.socket, method: str, path: str, body: Any, content: str, more: dict[str, str]
    ) -> None:
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = {**self.headers, **more, "Content-Length": str(len(data)), "Content-Type": content}
        lines = [f"{method} {self.base}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + data)


def head(reader: BinaryIO) -> tuple[int, dict[str, str]]:
    first = reader.readline()
    if not first:
        raise ConnectionResetError(104, "Connection reset by peer")
    headers = {}
    while line := reader.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return int(first.split()[1]), headers


def pieces(reader: BinaryIO, headers: dict[str, str]) -> Iterator[bytes]:
    if "chunked" in headers.get("transfer-encoding", ""):
        while size := int(reader.readline().split(b";")[0] or b"0", 16):
            yield reader.read(size)
            reader.readline()
        return
    body = reader.read(int(headers["content-length"])) if "content-length" in headers else reader.read()
    if len(body) < int(headers.get("content-length", 0)):
        raise ConnectionResetError(104, "Connection reset by peer")
    yield body
