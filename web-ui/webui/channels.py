"""Open gRPC channels, one a server, to addresses that were checked; a bounded number, and none cut off under a call."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import grpc

from webui.addresses import target
from webui.servers import Server

# A server that stops cancels who is just coming in, and a dead one drops all: a prediction changes nothing, so it is
# asked once more, by then of another server where there is one.
_ONCE_MORE = {
    "methodConfig": [
        {
            "name": [{"service": "tensorflow.serving.PredictionService"}],
            "retryPolicy": {
                "maxAttempts": 2,
                "initialBackoff": "0.1s",
                "maxBackoff": "0.1s",
                "backoffMultiplier": 1,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ]
}

_OPTIONS = (
    ("grpc.service_config", json.dumps(_ONCE_MORE)),
    ("grpc.enable_http_proxy", 0),  # a model server is a neighbour; never send it through https_proxy
    ("grpc.service_config_disable_resolution", 1),  # no TXT look-ups beside the address
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),  # also the limit of one attempt to connect
    ("grpc.max_reconnect_backoff_ms", 1000),  # a server that is back is found within about a second
    ("grpc.keepalive_time_ms", 3000),  # while a call waits: a peer that vanished shows before the deadline
    ("grpc.keepalive_timeout_ms", 1000),
    ("grpc.max_receive_message_length", 1 << 20),  # an answer is about 200 bytes
)


@dataclass(eq=False)
class _Pooled:
    channel: grpc.Channel
    addresses: frozenset[str]
    users: int = 0
    left: bool = False


class Channels:
    """Channels by server, for any thread; they open at the first call."""

    def __init__(self, most: int = 32) -> None:
        """`most`: channels kept; of more the one that was used least lately goes."""
        self._most = most
        self._pool: dict[Server, _Pooled] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def to(self, server: Server, addresses: tuple[str, ...]) -> Iterator[grpc.Channel]:
        """The channel to `server` at `addresses`, for one call.

        It stays as long as every address that it may dial is still one of the server's; else another takes its
        place, and it closes when the last call on it has ended.
        """
        with self._lock:
            pooled = self._pool.pop(server, None)
            if pooled and not pooled.addresses <= set(addresses):
                _leave(pooled)
                pooled = None
            self._pool[server] = pooled = pooled or _opened(server, addresses)  # now the last one used
            pooled.users += 1
            while len(self._pool) > self._most:
                _leave(self._pool.pop(next(iter(self._pool))))
        try:
            yield pooled.channel
        finally:
            with self._lock:
                pooled.users -= 1
                if pooled.left:
                    _leave(pooled)

    def close(self) -> None:
        """Close every channel at once; a later call opens a new one."""
        with self._lock:
            while self._pool:
                self._pool.popitem()[1].channel.close()


def _opened(server: Server, addresses: tuple[str, ...]) -> _Pooled:
    # A gateway tells servers apart by the name that was asked for, which the addresses no longer say.
    options = (*_OPTIONS, ("grpc.default_authority", str(server)))
    return _Pooled(grpc.insecure_channel(target(addresses, server.port), options=options), frozenset(addresses))


def _leave(pooled: _Pooled) -> None:
    """Close a channel that is out of the pool once nobody uses it."""
    pooled.left = True
    if not pooled.users:
        pooled.channel.close()
