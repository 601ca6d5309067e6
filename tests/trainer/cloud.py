"""Cloud Storage as TensorFlow sees it: its hosts behind a proxy on loopback that leads to the fake."""

from __future__ import annotations

import contextlib
import datetime
import os
import selectors
import socket
import socketserver
import ssl
import threading
import urllib.parse
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fakes.google import storage
from fakes.server import Server
from fakes.state import Reply, Request, State

HOSTS = ("www.googleapis.com", "storage.googleapis.com")
"""What TensorFlow has built in: no setting leads it elsewhere, but it obeys https_proxy."""


class Cloud:
    """A fake Cloud Storage with one bucket, and the variables that lead TensorFlow there; close it at the end."""

    def __init__(self, folder: Path, bucket: str) -> None:
        self.state, self.bucket = State(), bucket
        self.state.of("storage.buckets")[bucket] = storage.new_bucket(bucket, {"name": bucket})
        context, self.authority = certificate(folder)
        self.server = Server(self.state, lambda path: ("storage", path), {"storage": answer}, context)
        self.proxy = Proxy(self.server.port)

    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        return {
            **kept, "https_proxy": f"http://127.0.0.1:{self.proxy.port}", "CURL_CA_BUNDLE": str(self.authority),
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "a-token",
        }  # fmt: skip

    def objects(self) -> list[str]:
        return sorted(self.state.of(f"storage.objects/{self.bucket}"))

    def close(self) -> None:
        self.proxy.close()
        self.server.close()


def answer(state: State, request: Request) -> Reply:
    """As the JSON API; downloads come as `/bucket/object`, and an upload goes on where it began."""
    if not request.path.startswith(("/storage/", "/upload/")):
        bucket, _, name = request.path.removeprefix("/").partition("/")
        path = f"/storage/v1/b/{bucket}/o/{urllib.parse.quote(urllib.parse.unquote(name), safe='')}"
        request = replace(request, path=path, query={"alt": ["media"]})
    elif request.one("uploadType") == "resumable" and request.method == "POST":
        request = replace(request, path=f"/resumable{request.path}")
    reply = storage.api.handle(state, request)
    # TensorFlow knows headers only as Google spells them.
    headers = {name.title(): value for name, value in reply.headers.items()}
    if "Location" in headers:
        headers["Location"] = headers["Location"].replace("http:", "https:").replace("/storage/upload/", "/upload/")
    return Reply(reply.status, reply.body, headers)


class Proxy:
    """Answers CONNECT for Google's hosts with a line to one port of this machine, and for others with 403."""

    def __init__(self, to: int) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                host = self.rfile.readline().split()[1].decode().partition(":")[0]
                while self.rfile.readline().strip():
                    pass
                if host not in HOSTS:
                    self.wfile.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                    return
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                with socket.create_connection(("127.0.0.1", to)) as line, contextlib.suppress(ConnectionError):
                    relay(self.connection, line)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def relay(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes both ways until one side hangs up."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(one, selectors.EVENT_READ, other)
        waiting.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in waiting.select():
                data = one.recv(65536) if key.fileobj is one else other.recv(65536)
                if not data:
                    return
                key.data.sendall(data)


def certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A certificate of Google's hosts that only a client with CURL_CA_BUNDLE trusts."""
    key, today = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake-google")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public, both = folder / "authority.crt", folder / "server"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    both.touch(mode=0o600)
    both.write_bytes(secret + public.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, public
