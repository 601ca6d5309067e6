"""Free ports in a row, for what counts on from the first of them."""

from __future__ import annotations

import contextlib
import random
import socket


def row_of_ports(count: int) -> list[int]:
    """So many ports one after another that were free a moment ago."""
    while True:
        first = random.randrange(20_000, 30_000)  # below those that systems give to clients
        row = list(range(first, first + count))
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in row:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return row
