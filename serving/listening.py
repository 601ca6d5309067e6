"""Leaves a port to another process of ours that listens on it too, without losing who is just coming in."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

CONNECTION_SECONDS = 2.0
"""How old a gRPC connection gets where a port may have to be left: then its client is told to connect anew.

That is the only way to send clients away that costs no call: a server that is stopped cancels those on their way.
"""

# SO_REUSEPORT is gRPC's default: with it a second server would take the port of the first, silently.
ALONE = (("grpc.so_reuseport", 0),)
SHARED = (("grpc.so_reuseport", 1), ("grpc.max_connection_age_ms", round(CONNECTION_SECONDS * 1000)))

_ACCEPTING_SECONDS = 0.1
_SO_ATTACH_REUSEPORT_CBPF = 51  # asm-generic/socket.h
_RETURN = 0x06  # BPF_RET | BPF_K, linux/bpf_common.h


async def leave(grpc_port: int, rest_port: int) -> None:
    """Send new connections to the other process, and wait until the old ones of gRPC have gone, or a while.

    Where no other process listens, nothing changes until the ports are closed.
    """
    for one in _sockets(grpc_port, rest_port):
        if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            _steer(one)
    await asyncio.sleep(_ACCEPTING_SECONDS)
    for _ in range(round(1.2 * CONNECTION_SECONDS / 0.05)):
        if all(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for one in _sockets(grpc_port)):
            return
        await asyncio.sleep(0.05)


def _steer(sock: socket.socket) -> None:
    """Have Linux give each new connection to the second of those who listen: the one that came after us.

    Of those who share a port the first to come is number 0. Closing the port instead would reset who has connected and
    was not taken in yet. Other systems give connections to the last to come anyway, or cannot be told.
    """
    program = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 1))
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, struct.pack("@HP", 1, ctypes.addressof(program)))


def _sockets(*ports: int) -> Iterator[socket.socket]:
    """This process's sockets with one of these ports on their own side; gRPC hands its own out to nobody."""
    for place in list(Path("/dev/fd").iterdir()):
        with contextlib.suppress(OSError), _opened(int(place.name)) as one:
            if one.family in (socket.AF_INET, socket.AF_INET6) and one.getsockname()[1] in ports:
                yield one


def _opened(number: int) -> socket.socket:
    """A socket by a file descriptor of its own; OSError where the number is not a socket's."""
    copy = os.dup(number)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
