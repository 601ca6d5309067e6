"""Passes HTTP requests on: method, path, headers and body as they are, and the answer as it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from multidict import CIMultiDict
from yarl import URL

# RFC 9110, 7.6.1: what holds for one connection only; the rest is counted or made anew on the other one.
_HOP_BY_HOP = {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
               "trailer", "transfer-encoding", "upgrade", "content-length", "expect"}  # fmt: skip

_LINGER = 1.0
"""Seconds for which an idle connection is kept when the router ends: a request may be on its way on it."""


class RestSide:
    """The HTTP side of the router; `target` gives the track and the address for a request's path."""

    def __init__(self, target: Callable[[str], tuple[str, str]]) -> None:
        self._target = target
        app = web.Application(client_max_size=0)  # the model server says itself what is too large
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LINGER, auto_decompress=False)
        self._running, self._stopping = 0, False

    async def start(self, sock: socket.socket) -> None:
        """Answer what comes in on this socket."""
        self._client = ClientSession(
            connector=TCPConnector(limit=0), timeout=ClientTimeout(total=None), auto_decompress=False,
            cookie_jar=DummyCookieJar(),
        )  # fmt: skip
        await self._runner.setup()
        self._site = web.SockSite(self._runner, sock)
        await self._site.start()

    async def stop(self, grace: float) -> None:
        """Take no new connection, tell the open ones to end, wait up to so many seconds for requests, close."""
        self._stopping = True
        await self._site.stop()
        await self._until(lambda: not self._runner.server.connections, _LINGER)
        await self._until(lambda: not self._running, grace)
        await self._runner.cleanup()
        await self._client.close()

    async def _until(self, done: Callable[[], bool], seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not done():
                    await asyncio.sleep(0.02)

    async def _answer(self, request: web.Request) -> web.Response:
        self._running += 1
        try:
            response = await self._passed_on(request)
        finally:
            self._running -= 1
        if self._stopping:
            response.force_close()
        return response

    async def _passed_on(self, request: web.Request) -> web.Response:
        track, address = self._target(request.path)
        url = URL(f"http://{address}{request.raw_path}", encoded=True)
        body, headers = await request.read(), _kept(request.headers)
        try:
            async with self._client.request(
                request.method, url, headers=headers, data=body or None, allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as answer:  # fmt: skip
                return web.Response(
                    status=answer.status, reason=answer.reason, headers=_kept(answer.headers), body=await answer.read()
                )
        except ClientError as error:
            words = f"the {track} model server at {address} does not answer: {error or type(error).__name__}"
            return web.json_response({"error": words}, status=503)


def _kept(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers that go on: all but those of one connection, and those that Connection names."""
    named = {one.strip().lower() for one in headers.get("Connection", "").split(",")}
    return CIMultiDict((key, value) for key, value in headers.items() if key.lower() not in _HOP_BY_HOP | named)
