"""Two servers that say who they are, and in front of them a router: ours, and nginx where the machine has it."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from pipeline import manifests
from pipeline.aliases import Canary
from pipeline.settings import Settings

PREDICT = "/tensorflow.serving.PredictionService/Predict"
CANARY = "1700000002"


class Upstream(grpc.GenericRpcHandler):
    """A server of both protocols that answers with its name and with what it was given."""

    def __init__(self, name: str, grpc_port: int, rest_port: int) -> None:
        self.name = name
        self.seen = list[dict[str, Any]]()
        self.server = grpc.server(ThreadPoolExecutor(8), handlers=(self,), options=(("grpc.so_reuseport", 0),))
        self.server.add_insecure_port(f"127.0.0.1:{grpc_port}")
        self.server.start()
        handler = type("Handler", (Page,), {"upstream": self})
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", rest_port), handler)
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.server.stop(None).wait()
        self.http.shutdown()
        self.http.server_close()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        if details.method.endswith("/Watch"):
            return grpc.unary_stream_rpc_method_handler(self.stream)
        return grpc.unary_unary_rpc_method_handler(self.answer)

    def answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        given = dict(context.invocation_metadata())
        self.seen.append({**given, "remaining": context.time_remaining(), "bytes": len(request)})
        context.send_initial_metadata((("x-initial", self.name),))
        context.set_trailing_metadata((("x-trailing", self.name), ("x-data-bin", b"\0\1")))
        if request == b"sleep":
            time.sleep(1)
        if request == b"fail":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "in its own words: größer")
        return self.name.encode() + (request if len(request) > 1000 else b"")

    def stream(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield from (b"first", b"second")
        context.abort(grpc.StatusCode.ABORTED, "no more")


class Page(http.server.BaseHTTPRequestHandler):
    """Answers with its upstream's name, and what it was asked as JSON."""

    upstream: Upstream
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        text = json.dumps({
            "from": self.upstream.name, "method": self.command, "path": self.path, "bytes": len(body),
            "headers": {key.lower(): value for key, value in self.headers.items()},
        }).encode()  # fmt: skip
        self.send_response(409 if "wrong" in self.path else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Model", self.upstream.name)
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *words: object) -> None:
        pass


@dataclass
class Router:
    """A router process in front of two upstreams, `stable` and `canary`."""

    settings: Settings
    file: Path
    process: subprocess.Popen[bytes]
    upstreams: dict[str, Upstream] = field(default_factory=dict)

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.settings.serving.grpc_port}"

    @property
    def rest(self) -> str:
        return f"http://127.0.0.1:{self.settings.serving.rest_port}"

    def until_logged(self, words: str) -> None:
        """Wait until its log holds the words."""
        for _ in range(200):
            text = (self.file.parent / "log").read_text()
            if words in text:
                return
            time.sleep(0.02)
        raise AssertionError(f"{words!r} is not in the log:\n{text}")

    def post(self, path: str, body: bytes = b"{}", **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        request = urllib.request.Request(self.rest + path, body, headers, method="POST" if body else "GET")
        try:
            with urllib.request.urlopen(request, timeout=10) as reply:
                return reply.status, json.load(reply), {key.lower(): value for key, value in reply.headers.items()}
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), {key.lower(): value for key, value in error.headers.items()}


def nginx() -> str:
    """Where nginx is; the test is skipped where the machine has none."""
    found = os.environ.get("NGINX") or shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not found:
        pytest.skip("nginx is not installed here: `apt-get install nginx`, or name it in NGINX")
    return found


def written(settings: Settings, folder: Path, percent: int) -> Path:
    """The nginx.conf of the router's ConfigMap, as it goes to a cluster but for the addresses."""
    trial = Canary(version=CANARY, percent=percent)
    config = manifests.render(settings, "router", "", trial=trial)[0]["data"]["nginx.conf"]
    file = folder / "nginx.conf"
    fresh = folder / "new.conf"
    fresh.write_text(config.replace("/tmp/", f"{folder}/"))  # noqa: S108
    fresh.replace(file)
    return file


def until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} does not answer: {log.read_text()}")
