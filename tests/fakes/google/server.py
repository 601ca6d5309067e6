"""The server of Google's fakes: beside the APIs it answers batches, and hands out tokens to who is logged in."""

from __future__ import annotations

import email.parser
import email.policy
import http.server
import urllib.parse
from typing import Any

from fakes.google import HANDLES, route
from fakes.google.base import count
from fakes.server import Dropped, Server, answer, body_of, send
from fakes.state import Reply, Request, State


class GoogleServer(Server):
    """Server with the two things that are no API: `/batch/…`, many requests in one, and `/token`, the login."""

    def __init__(self, state: State) -> None:
        super().__init__(state, route, HANDLES)

    def handle(self, http_request: http.server.BaseHTTPRequestHandler) -> None:
        if http_request.path.startswith(("/batch/", "/token")):
            headers = {name.lower(): value for name, value in http_request.headers.items()}
            body = body_of(http_request, headers)
            given = token(self.state) if http_request.path.startswith("/token") else batch(self.state, headers, body)
            send(http_request, given)
        else:
            super().handle(http_request)


def token(state: State) -> Reply:
    """A new token, or what Google says of a login that has ended: `state.of("login")["ended"] = True`."""
    if state.of("login").get("ended"):
        return Reply.of({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)
    number = count(state, "token")
    return Reply.of({"access_token": f"fake-token-{number}", "expires_in": 3599, "token_type": "Bearer",
                     "scope": "https://www.googleapis.com/auth/cloud-platform"})  # fmt: skip


def batch(state: State, headers: dict[str, str], body: bytes) -> Reply:
    """Answer each request of a batch as if it had come alone: logged alone, and failing alone."""
    whole = b"content-type: " + headers["content-type"].encode() + b"\r\n\r\n" + body
    parsed = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(whole)
    pieces = []
    for part in parsed.get_payload():
        reply = alone(state, headers, part.get_payload(decode=False))
        pieces.append(
            f"--batch_fake\r\nContent-Type: application/http\r\nContent-ID: <response-{part['content-id'].strip('<>')}>"
            f"\r\n\r\nHTTP/1.1 {reply.status} {http.server.BaseHTTPRequestHandler.responses[reply.status][0]}\r\n"
            f"Content-Type: application/json; charset=UTF-8\r\nContent-Length: {len(reply.body)}\r\n\r\n"
            f"{reply.body.decode()}\r\n"
        )  # fmt: skip
    return Reply(200, ("".join(pieces) + "--batch_fake--\r\n").encode(),
                 {"content-type": "multipart/mixed; boundary=batch_fake"})  # fmt: skip


def alone(state: State, headers: dict[str, str], text: Any) -> Reply:
    """One request of a batch, which stands in it as text."""
    head, _, body = str(text).replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.splitlines()
    method, target, *_ = first.split(" ")
    own = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
    place = urllib.parse.urlsplit(target)
    api, path = route(place.path)
    query = urllib.parse.parse_qs(place.query, keep_blank_values=True)
    request = Request(method, api, path, query, {**headers, **own}, body.strip().encode())
    if api not in HANDLES:
        state.unknown.append(str(request))
        return Reply.of({"error": {"code": 501, "message": f"no fake of {request}"}}, 501)
    try:
        return answer(state, request, HANDLES[api])
    except Dropped:
        return Reply.of({"error": {"code": 503, "message": "the backend was lost", "status": "UNAVAILABLE"}}, 503)
