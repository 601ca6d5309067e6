"""Security headers for every answer, and a look at the Host header before Flask sees it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import Flask, Response

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

HEADERS = {
    # Scripts and styles from our own files alone, none in the page; images only from here or inside the page.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

# host, host:port, [IPv6] or [IPv6]:port (RFC 9110, 7.2). Which names are ours depends on where people stand:
# port-forward, load balancer, DNS name. Nothing here builds an address from it.
_HOST = re.compile(r"([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?\Z")


def protect(app: Flask) -> None:
    """Add the headers to every answer of `app`, errors included; answer 400 to a malformed Host."""
    app.wsgi_app = _HostCheck(app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation does

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class _HostCheck:
    """Stands before Flask, which cannot build an address, not even for an error page, without a host."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = environ.get("HTTP_HOST", "")
        if len(host) <= 260 and _HOST.match(host):
            return self._app(environ, start_response)
        refusal = Response("The Host header of this request names no host.\n", 400, HEADERS, mimetype="text/plain")
        return refusal(environ, start_response)
