"""Reading a server's address: one spelling for each, and no other thing than a host and a port."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.servers import Server, read_host, read_port, read_server


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("mnist-service", "mnist-service"),
        (" MNIST-Service.Kubeflow.svc ", "mnist-service.kubeflow.svc"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::ffff:127.0.0.1", "::ffff:7f00:1"),
    ],
)
def test_a_host_has_one_spelling(text: str, host: str) -> None:
    assert read_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            ".",
            "a..b",
            "-a",
            "a b",
            "a/b",
            "a@b",
            "http://a",
            "a:80",
            "a\nb",
            "a%00",
            "ä",
            "mnist-service.\u212aubeflow",
            "x" * 254,
        ),
        *("2130706433", "0177.0.0.1", "127.1", "1.2.3.4.5", "256.1.1.1", "0", "１２７.0.0.1"),
        *("[127.0.0.1]", "[::1", "::1%lo", "fe80::1%eth0", "unix:/tmp/x", "dns:///a", "[a]"),
    ],
)
def test_fault_63_what_is_no_plain_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # the words come from ipaddress for some
        read_host(text)


@pytest.mark.parametrize("text", ["", "0", "65536", "70000", "-1", "+80", "8e1", "80.0", "0x50", "٣", "999999999"])
def test_a_port_is_a_whole_number_from_1_to_65535(text: str) -> None:
    with pytest.raises(ValueError, match="is no port"):
        read_port(text)


@given(st.integers(1, 65535))
def test_every_port_is_read(port: int) -> None:
    assert read_port(str(port)) == port


@given(st.ip_addresses(), st.integers(1, 65535))
def test_a_server_reads_back_as_it_is_written(address: object, port: int) -> None:
    server = Server(str(address), port)
    if "%" not in str(address):
        assert read_server(str(server)) == server


@given(st.text(max_size=60))
def test_a_host_that_is_read_holds_no_character_of_an_address_around_it(text: str) -> None:
    try:
        host = read_host(text)
    except ValueError:
        return
    assert host.isascii()
    assert not set(host) & set("/@?#%[] \t\n\0")


@pytest.mark.parametrize("text", ["a", "a:", ":80", "::1:80", "a:b", "a:80:90", "http://a:80"])
def test_host_and_port_are_both_needed(text: str) -> None:
    with pytest.raises(ValueError):
        read_server(text)
