"""Which addresses are dialled: each is judged, none is reached in disguise, and what was judged is what is dialled."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui import problems
from webui.addresses import Addresses, objection_to, target
from webui.allowed import Allowed, Namespace
from webui.lookups import Lookups
from webui.servers import Server

USUAL = Allowed((Server("mnist-service", 9000), Namespace("kubeflow", 9000)), "kubeflow")
WHOLE = "mnist-service.kubeflow.svc.cluster.local."
MNIST = Server("mnist-service", 9000)


def addresses(*answer: str, allowed: Allowed | None = USUAL, trusted: tuple[Server, ...] = ()) -> Addresses:
    """Those of a resolver that gives every name this answer."""
    return Addresses(allowed, trusted, Lookups(lambda _: list(answer)))


@pytest.mark.parametrize("answer", [("10.0.0.7",), ("34.118.224.9",), ("fd12:3456::7",), ("10.0.0.7", "2600:1900::7")])
def test_an_address_of_a_cluster_or_of_the_internet_is_fine(answer: tuple[str, ...]) -> None:
    assert addresses(*answer).of(MNIST, 1) == answer


FORBIDDEN = {
    "link-local": ("169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1"),
    "a metadata server": ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    "unspecified": ("0.0.0.0", "0.1.2.3", "::"),  # noqa: S104
    "multicast": ("224.0.0.1", "239.255.255.250", "ff02::1"),
    "reserved or broadcast": ("255.255.255.255", "240.0.0.1"),
    "this machine itself": ("127.0.0.1", "127.8.9.1", "::1"),
}
CARRIED = {
    "mapped": "::ffff:{dotted}",
    "compatible": "::{dotted}",
    "translated": "::ffff:0:{dotted}",
    "NAT64": "64:ff9b::{dotted}",
    "NAT64 of one's own": "64:ff9b:1::{dotted}",
    "NAT64 of one's own, /48": "64:ff9b:1:{high}:{low_48}::",
    "6to4": "2002:{high}:{low}::1",
    "Teredo": "2001:0:{high}:{low}:8000:63bf:3fff:fdd2",
    "Teredo's client": "2001:0:4136:e378:8000:63bf:{not_high}:{not_low}",
    "ISATAP": "2600::5efe:{dotted}",
}


@pytest.mark.parametrize(("what", "address"), [(what, one) for what, each in FORBIDDEN.items() for one in each])
def test_fault_63_a_forbidden_address_is_known(what: str, address: str) -> None:
    assert objection_to(address, loopback=False) == what


@pytest.mark.parametrize("inner", ["169.254.169.254", "127.0.0.1", "0.0.0.1", "224.0.0.1", "255.255.255.255"])
@pytest.mark.parametrize("form", CARRIED)
def test_fault_63_an_ipv4_address_inside_an_ipv6_address_is_judged_too(form: str, inner: str) -> None:
    address = carried(form, inner)
    if int(ipaddress.ip_address(address)) == 1:
        return  # ::0.0.0.1 is ::1
    assert objection_to(address, loopback=False) == objection_to(inner, loopback=False) != ""


@pytest.mark.parametrize("form", CARRIED)
def test_an_ipv6_address_with_a_fit_ipv4_address_inside_is_fine(form: str) -> None:
    assert objection_to(carried(form, "10.0.0.7"), loopback=False) == ""


@given(form=st.sampled_from(sorted(CARRIED)), inner=st.ip_addresses(v=4))
def test_an_address_is_no_better_inside_another(form: str, inner: ipaddress.IPv4Address) -> None:
    if objection_to(str(inner), loopback=False):
        assert objection_to(carried(form, str(inner)), loopback=False)


def carried(form: str, inner: str) -> str:
    """An IPv4 address in one of the IPv6 forms that gateways unpack."""
    bits = int(ipaddress.IPv4Address(inner))
    high, low = bits >> 16, bits & 0xFFFF
    words = {"high": f"{high:x}", "low": f"{low:x}", "not_high": f"{high ^ 0xFFFF:x}", "not_low": f"{low ^ 0xFFFF:x}"}
    # RFC 6052: with a prefix of 48 bits, 16 bits follow, then 8 that are zero, then the other 16.
    return CARRIED[form].format(dotted=inner, low_48=f"{low >> 8:x}:{low & 0xFF:x}00", **words)


@given(st.ip_addresses(), st.booleans())
def test_every_address_gets_a_verdict_and_this_machine_only_where_it_was_asked_for(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, loopback: bool
) -> None:
    if not objection_to(str(address), loopback):
        assert address.is_loopback is loopback
        assert not (address.is_link_local or address.is_multicast or address.is_unspecified)


@pytest.mark.parametrize(
    "answer",
    [("169.254.169.254",), ("10.0.0.7", "169.254.169.254"), ("10.0.0.7", "::1"), ("127.0.0.1",), ("fe80::1%2",)],
)
def test_fault_63_a_name_with_one_forbidden_address_is_refused_and_the_log_says_which(
    answer: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "webui"), pytest.raises(problems.Refused) as caught:
        addresses(*answer).of(MNIST, 1)
    (line,) = caplog.messages
    assert line.startswith(f"connect to mnist-service:9000: {WHOLE} leads to {answer[-1]}, which is ")
    assert caught.value.field == "addr"
    assert "is none that a model server may have" in caught.value.sentence
    assert answer[-1] not in caught.value.sentence


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "fd00:ec2::254"])  # noqa: S104
def test_fault_63_a_forbidden_address_is_refused_even_where_the_list_has_it(address: str) -> None:
    with pytest.raises(problems.Refused):
        addresses(allowed=Allowed((Server(address, 80),))).of(Server(address, 80), 1)


def test_an_address_on_the_list_is_the_operators_word_and_looked_up_nowhere() -> None:
    listed = Allowed((Server("10.0.0.7", 9000), Server("127.0.0.1", 9000)))
    for host in ("10.0.0.7", "127.0.0.1", "::1"):
        assert addresses(allowed=listed).of(Server(host, 9000), 1) == (host,)


def test_a_server_that_is_not_on_the_list_is_refused_before_its_name_is_looked_up() -> None:
    asked: list[str] = []
    where = Addresses(USUAL, (), Lookups(lambda name: asked.append(name) or ["10.0.0.7"]))
    for server in (Server("evil.example.org", 9000), Server("mnist-service", 22), Server("localhost", 9000)):
        with pytest.raises(problems.Refused, match="only to mnist-service:9000 or any Service of kubeflow"):
            where.of(server, 1)
    assert asked == []


def test_a_trusted_server_needs_no_place_on_the_list_but_a_fit_address() -> None:
    canary = Server("canary", 9012)
    assert addresses("10.0.0.7", trusted=(canary,)).of(canary, 1) == ("10.0.0.7",)
    with pytest.raises(problems.Refused):
        addresses("169.254.169.254", trusted=(canary,)).of(canary, 1)


@pytest.mark.parametrize("answer", [("10.0.0.7",), ("127.0.0.1", "10.0.0.7"), ("169.254.169.254",)])
def test_fault_63_localhost_must_lead_to_this_machine(answer: tuple[str, ...]) -> None:
    here, listed = Server("localhost", 9000), Allowed((Server("127.0.0.1", 9000),))
    assert addresses("127.0.0.1", "::1", allowed=listed).of(here, 1) == ("127.0.0.1", "::1")
    with pytest.raises(problems.Refused):
        addresses(*answer, allowed=listed).of(here, 1)


def test_a_service_is_asked_for_by_its_whole_name() -> None:
    asked: list[str] = []
    where = Addresses(USUAL, (), Lookups(lambda name: asked.append(name) or ["10.0.0.7"]))
    for host in ("mnist-service", "mnist-service.kubeflow", "mnist-service.kubeflow.svc.cluster.local"):
        where.of(Server(host, 9000), 1)
    assert asked == [WHOLE]


def test_a_name_that_leads_nowhere_is_a_server_that_is_not_there() -> None:
    def nowhere(_: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for resolve in (nowhere, lambda _: []):
        with pytest.raises(problems.ServerDown, match="at mnist-service:9000: nothing is known by that name"):
            Addresses(USUAL, (), Lookups(resolve)).of(MNIST, 1)


def test_a_resolver_that_is_too_slow_or_too_busy_is_said() -> None:
    over = threading.Event()
    slow = Addresses(USUAL, (), Lookups(lambda _: over.wait(10) and [], at_once=1))
    with pytest.raises(problems.TooSlow, match=r"Nobody said within 0\.05 seconds where mnist-service:9000 is"):
        slow.of(MNIST, 0.05)
    with pytest.raises(problems.NotReady, match="Too many names"):
        slow.of(Server("other", 9000), 0.05)
    over.set()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (("10.0.0.7",), "ipv4:10.0.0.7:9000"),
        (("10.0.0.7", "10.0.0.8"), "ipv4:10.0.0.7:9000,10.0.0.8:9000"),
        (("fd00::7",), "ipv6:[fd00::7]:9000"),
        (("::1", "127.0.0.1"), "ipv6:[::1]:9000,[::ffff:127.0.0.1]:9000"),
        (("2600::7%2",), "ipv6:[2600::7]:9000"),
    ],
)
def test_a_target_is_addresses_and_no_name(answer: tuple[str, ...], says: str) -> None:
    assert target(answer, 9000) == says
