"""Steady clients of the model server: over gRPC and over HTTP, on one connection and on a new one each time."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import TracebackType

from pipeline import client
from pipeline.errors import RunFailed

BODY = json.dumps({"instances": [[0.0] * 784]})
HEADERS = {"Content-Type": "application/json"}
PAUSE = 0.02
"""Seconds between two requests of a client."""


class Clients:
    """Inside, some clients ask without end; afterwards `failed` lists what went wrong, and `asked` how often it did."""

    def __init__(self, grpc_port: int, rest_port: int, model: str = "mnist") -> None:
        self.grpc_port, self.rest_port, self.model = grpc_port, rest_port, model
        self.failed, self.asked = list[str](), Counter[str]()
        self.heard = {"": list[int](), "stable": list[int]()}
        self.over = threading.Event()
        kinds = [*[partial(self.call, label) for label in self.heard], self.keep, self.keep, self.reconnect]
        self.threads = [threading.Thread(target=kind) for kind in kinds]

    def __enter__(self) -> Clients:
        for one in self.threads:
            one.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        for one in self.threads:
            one.join()

    def wait(self, count: int) -> None:
        """Until each client has asked so many times more."""
        goal = {name: asked + count for name, asked in self.asked.items()}
        while any(self.asked[name] < least for name, least in goal.items()):
            assert all(one.is_alive() for one in self.threads)
            time.sleep(0.02)

    def steadily(self, name: str, ask: Callable[[], None]) -> None:
        """Ask until it is over, and note down what fails."""
        while not self.over.wait(PAUSE):
            self.asked[name] += 1
            try:
                ask()
            except (RunFailed, OSError, http.client.HTTPException, AssertionError) as error:
                self.failed.append(f"{name}: {error!r}")

    def call(self, label: str) -> None:
        """Over gRPC, on one channel, by a label or without; who answered is noted down."""
        with client.calling(f"127.0.0.1:{self.grpc_port}", self.model, label, deadline=20) as predict:
            name = f"gRPC {label}".strip()
            self.steadily(name, lambda: self.heard[label].append(predict([bytes(784)]).version))

    def keep(self) -> None:
        """Over HTTP, on one connection for as long as the server keeps it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=20)
        try:
            self.steadily("HTTP, kept", lambda: self.post(connection))
        finally:
            connection.close()

    def reconnect(self) -> None:
        """Over HTTP, on a new connection for each request."""

        def ask() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=20)
            try:
                self.post(connection)
            finally:
                connection.close()

        self.steadily("HTTP, new", ask)

    def post(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.request("POST", f"/v1/models/{self.model}:predict", BODY, HEADERS)
            reply = connection.getresponse()
            text = reply.read()
        except (OSError, http.client.HTTPException):
            connection.close()  # the next request begins anew
            raise
        assert reply.status == http.HTTPStatus.OK, f"{reply.status} {text[:200]!r}"
