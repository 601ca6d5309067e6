"""Reads what is POSTed, within bounds: each body's size and time, and the memory of all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

# The largest body, in bytes: 2,000 images of 784 numbers as text.
MAX_BODY_BYTES = 32 << 20

# All bodies together, in bytes. As Python's lists a body takes about eight times its size, but only as many are
# lists at a time as there are workers.
MAX_BODIES_BYTES = 128 << 20


class BodyError(Exception):
    """A body that is not taken: the HTTP status, and one sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Bodies:
    """The bodies that are being read or answered. For the event loop alone."""

    def __init__(self, patience: float) -> None:
        """`patience` is how many seconds a body may take to come in."""
        self._patience, self._held = patience, 0

    @asynccontextmanager
    async def read(self, request: web.BaseRequest) -> AsyncIterator[bytearray]:
        """The body; it counts as held until the block ends. BodyError where it is too large, too slow or too much."""
        taken = bytearray()
        try:
            yield await self._all(request, taken)
        finally:
            self._held -= len(taken)

    async def _all(self, request: web.BaseRequest, taken: bytearray) -> bytearray:
        if (request.content_length or 0) > MAX_BODY_BYTES:
            raise _too_large()
        try:
            async with asyncio.timeout(self._patience):
                async for chunk in request.content.iter_any():
                    taken += chunk
                    self._held += len(chunk)
                    if len(taken) > MAX_BODY_BYTES:
                        raise _too_large()
                    if self._held > MAX_BODIES_BYTES:
                        raise BodyError(
                            503, f"Bodies of more than {MAX_BODIES_BYTES} bytes are being answered: try again"
                        )
        except TimeoutError as error:
            raise BodyError(408, f"The body did not come in within {self._patience:g} s") from error
        return taken


def _too_large() -> BodyError:
    return BodyError(413, f"The body is larger than the {MAX_BODY_BYTES} bytes that this server takes")
