"""What a model server is for this page: reading a host and a port, and writing them again."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

# Letters, digits, '-' and '_' between dots, as RFC 1123 and cluster DNS have them; 253 is DNS's own limit.
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")


class Server(NamedTuple):
    """A model server's host (a DNS name in lower case, or an IP address in one spelling) and gRPC port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_host(text: str) -> str:
    """Return the host in one spelling, or raise ValueError; no port, scheme, path, zone or user passes."""
    if not text.isascii():  # "K" in lower case is "k" for the Kelvin sign too
        raise ValueError(f"{text!r} is no host name")
    host = text.strip().lower()
    if ":" in host:
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if "%" in bare:
            raise ValueError(f"{text!r} names a network zone")
        return str(ipaddress.IPv6Address(bare))
    if host.replace(".", "").isdigit():
        return str(ipaddress.IPv4Address(host))  # refuses 2130706433, 0177.0.0.1 and 127.1
    if not _HOST_NAME.match(host):
        raise ValueError(f"{text!r} is no host name")
    return host


def read_port(text: str) -> int:
    """Return the port, 1 to 65535, or raise ValueError."""
    port = int(text) if _PORT.match(text.strip()) else 0
    if not 1 <= port <= 65535:
        raise ValueError(f"{text!r} is no port")
    return port


def read_server(text: str) -> Server:
    """Read `host:port` or `[IPv6]:port`, or raise ValueError."""
    host, colon, port = text.strip().rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        raise ValueError(f"{text!r} is not host:port")
    return Server(read_host(host), read_port(port))
