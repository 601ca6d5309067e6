"""From a server's name to the IP addresses that gRPC may dial: looked up once, and every one of them judged."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from webui import problems
from webui.allowed import Allowed, is_loopback
from webui.lookups import Busy, Lookups
from webui.servers import Server

log = logging.getLogger("webui.addresses")

IP = IPv4Address | IPv6Address

_NEVER = tuple(
    (ip_network(network), what)
    for what, networks in {
        "unspecified": ("0.0.0.0/8", "::/128"),
        "link-local": ("169.254.0.0/16", "fe80::/10"),
        # What a cloud tells its machines, keys among it: Amazon's, Google's, Alibaba's, Azure's, Oracle's. Most
        # are at 169.254.169.254 besides.
        "a metadata server": (
            "fd00:ec2::/32", "fd20:ce::254/128", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
        ),
        "multicast": ("224.0.0.0/4", "ff00::/8"),
        "reserved or broadcast": ("240.0.0.0/4",),
    }.items()
    for network in networks
)  # fmt: skip

# Prefixes below which the last 32 bits are an IPv4 address: compatible (RFC 4291), translated (RFC 2765), NAT64
# (RFC 6052), NAT64 of one's own (RFC 8215).
_CARRIERS = tuple(map(IPv6Address, ("::", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::")))
_ISATAP = (0x5EFE, 0x0200_5EFE)  # RFC 5214: these 32 bits before an IPv4 address, below any prefix


class Addresses:
    """Where servers are: the list is asked before a name is looked up, and each answer before it is dialled."""

    def __init__(
        self, allowed: Allowed | None = None, trusted: Sequence[Server] = (), lookups: Lookups | None = None
    ) -> None:
        """`allowed`: None lets every server pass, for callers who name their own. `trusted`: the operator's words
        besides, which no form may name."""
        self._allowed, self._trusted = allowed, frozenset(trusted)
        self._lookups = lookups or Lookups()

    def of(self, server: Server, timeout_s: float) -> tuple[str, ...]:
        """The IP addresses of `server`, at least one, within `timeout_s` seconds.

        Raises Refused where the server or one of its addresses may not be connected to, ServerDown where the name
        leads nowhere, TooSlow and NotReady where that cannot be told now.
        """
        if self._allowed and server not in self._trusted:
            self._allowed.check(server)
        name = self._allowed.lookup(server.host) if self._allowed else server.host
        found = (name,) if _is_address(name) else self._found(server, name, timeout_s)
        for address in found:
            objection = objection_to(address, is_loopback(server.host))
            if objection:
                log.warning("connect to %s: %s leads to %s, which is %s: refused", server, name, address, objection)
                raise problems.Refused(
                    f"This page may not connect to {server}: its address is none that a model server may have.", "addr"
                )
        return found

    def _found(self, server: Server, name: str, timeout_s: float) -> tuple[str, ...]:
        try:
            found = self._lookups.addresses(name, timeout_s)
        except TimeoutError as error:
            raise problems.TooSlow(f"Nobody said within {timeout_s:g} seconds where {server} is.") from error
        except Busy as error:
            raise problems.NotReady("Too many names are being looked up already; try again shortly.") from error
        except OSError as error:
            log.warning("connect to %s: %s: %s", server, name, error)
            found = ()
        if not found:
            raise problems.ServerDown(f"No model server answers at {server}: nothing is known by that name.", "addr")
        return found


def objection_to(address: str, loopback: bool) -> str:
    """Why never to connect to an IP address, or "". `loopback`: this machine itself was asked for, and only it is
    right; else it is wrong."""
    ip = ip_address(address.partition("%")[0])
    ip = (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip
    reached = (ip, *_carried(ip))
    for each in reached:
        for network, what in _NEVER:
            if each in network:
                return what
    if loopback:
        return "" if ip.is_loopback else "not this machine"
    return "this machine itself" if any(each.is_loopback for each in reached) else ""


def _carried(ip: IP) -> Iterator[IPv4Address]:
    """The IPv4 addresses that a gateway may make of an IPv6 address."""
    if isinstance(ip, IPv4Address) or ip == IPv6Address("::1"):
        return
    bits = int(ip)
    if any(bits >> 32 == int(carrier) >> 32 for carrier in _CARRIERS) or bits >> 32 & 0xFFFF_FFFF in _ISATAP:
        yield IPv4Address(bits & 0xFFFF_FFFF)
    if bits >> 80 == int(_CARRIERS[-1]) >> 80 and bits >> 32 & 0xFFFF_FFFF_FFFF:  # the /48 form skips bits 64 to 71
        yield IPv4Address((bits >> 64 & 0xFFFF) << 16 | bits >> 40 & 0xFFFF)
    if ip.sixtofour:
        yield ip.sixtofour
    yield from ip.teredo or ()


def target(addresses: Sequence[str], port: int) -> str:
    """The gRPC target of checked addresses; its scheme is always ours, and none of it is a name to look up."""
    plain = [str(ip_address(address.partition("%")[0])) for address in addresses]
    if any(":" in address for address in plain):  # one scheme a target; gRPC dials a mapped address over IPv4
        mapped = (address if ":" in address else f"::ffff:{address}" for address in plain)
        return "ipv6:" + ",".join(f"[{address}]:{port}" for address in mapped)
    return "ipv4:" + ",".join(f"{address}:{port}" for address in plain)


def _is_address(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return False
