"""One forwarded connection, carried in SPDY 3.1 frames over an upgraded connection of its own."""

from __future__ import annotations

import importlib.util
import os
import select
import ssl
import struct
import sys

from fakes.standins.wire import head

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from types import ModuleType
    from typing import Any

    from fakes.standins.wire import Wire

UPGRADE = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "portforward.k8s.io"}
ERRORS, DATA = 1, 3
"""The two streams of the one request: where the server says what went wrong, and the bytes."""


def frames() -> ModuleType:
    """The fake server's module of frames, by its file: its package would load the whole server."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib costs a tenth of the start
    place = os.path.join(here, "..", "..", "kubernetes", "spdy.py")  # noqa: PTH118
    spec = importlib.util.spec_from_file_location("fake_spdy", place)
    if spec is None or spec.loader is None:
        raise ImportError(place)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def carry(wire: Wire, path: str, client: socket.socket, port: int) -> None:
    """Carry the client's bytes to the pod's port and back until one side ends."""
    connection, reader = wire.connect()
    with client, connection:
        wire.send(connection, "GET", path, None, "", UPGRADE)
        if head(reader)[0] == 101:
            Carried(frames(), connection, client, port).serve()


class Carried:
    """The two streams of one connection."""

    def __init__(self, spdy: ModuleType, server: socket.socket, client: socket.socket, port: int) -> None:
        self.spdy, self.server, self.client, self.frames = spdy, server, client, spdy.Frames()
        self.wants = [server, client]
        for stream, kind in ((ERRORS, "error"), (DATA, "data")):
            self.server.sendall(self.opening(stream, {"streamtype": kind, "port": str(port), "requestid": "0"}))

    def opening(self, stream: int, headers: dict[str, str]) -> bytes:
        """A SYN_STREAM frame."""
        texts = [text.encode() for pair in headers.items() for text in pair]
        block = struct.pack(">I", len(headers)) + b"".join(struct.pack(">I", len(text)) + text for text in texts)
        packed = self.frames.deflate.compress(block) + self.frames.deflate.flush(2)  # zlib.Z_SYNC_FLUSH
        frame: bytes = self.spdy.control(self.spdy.SYN_STREAM, struct.pack(">IIH", stream, 0, 0) + packed)
        return frame

    def serve(self) -> None:
        try:
            while self.carried():
                pass
        except OSError:
            return

    def carried(self) -> bool:
        """Carry what is there now; False when it is over."""
        ready = select.select(self.wants, [], [])[0]
        if self.client in ready:
            content = self.client.recv(32768)
            self.server.sendall(self.frames.data(DATA, content, last=not content))
            self.wants = self.wants if content else [self.server]
        return self.server not in ready or self.answered()

    def answered(self) -> bool:
        """Take the server's frames; False when the bytes have ended or something went wrong."""
        received = self.server.recv(65536)
        while isinstance(self.server, ssl.SSLSocket) and self.server.pending():
            received += self.server.recv(65536)
        goes_on = [self.taken(frame) for frame in self.frames.read(received)]
        return bool(received) and all(goes_on)

    def taken(self, frame: Any) -> bool:
        if frame.kind == 0 and frame.stream == DATA:
            self.client.sendall(frame.content)
            return not frame.flags & self.spdy.FIN
        if frame.kind == 0 and frame.content:
            print(
                f"an error occurred forwarding: {frame.content.decode(errors='replace')}", file=sys.stderr, flush=True
            )
            return False
        return True
