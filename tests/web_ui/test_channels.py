"""The pool of channels: one a server, a new one when its addresses are others, none closed under a call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from tests.web_ui.model_server import Behaviour, serve
from webui.addresses import Addresses
from webui.channels import Channels
from webui.client import Predictor
from webui.lookups import Lookups
from webui.servers import Server

MNIST = Server("mnist-service", 9000)


class Opened:
    """Stands in for gRPC's channels: keeps what was opened, and what is closed."""

    def __init__(self) -> None:
        self.targets: list[str] = []
        self.authorities: list[str] = []
        self.open: list[str] = []

    def __call__(self, to: str, options: tuple[tuple[str, object], ...]) -> object:
        self.targets.append(to)
        self.authorities.append(str(dict(options)["grpc.default_authority"]))
        self.open.append(to)
        return type("Channel", (), {"close": lambda _: self.open.remove(to)})()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    made = Opened()
    monkeypatch.setattr(grpc, "insecure_channel", made)
    return made


def use(channels: Channels, server: Server, *addresses: str) -> None:
    with channels.to(server, addresses):
        pass


def test_the_same_addresses_in_any_order_and_more_of_them_keep_the_channel(opened: Opened) -> None:
    channels = Channels()
    for addresses in (("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1"), ("10.0.0.3", "10.0.0.2", "10.0.0.1")):
        use(channels, MNIST, *addresses)
    assert opened.targets == opened.open == ["ipv4:10.0.0.1:9000,10.0.0.2:9000"]


@pytest.mark.parametrize("then", [("10.0.0.3",), ("10.0.0.2", "10.0.0.3")], ids=["all are others", "one is gone"])
def test_an_address_that_is_no_longer_the_servers_is_not_dialled_again(opened: Opened, then: tuple[str, ...]) -> None:
    channels = Channels()
    use(channels, MNIST, "10.0.0.1", "10.0.0.2")
    use(channels, MNIST, *then)
    assert len(opened.targets) == 2
    assert opened.open == opened.targets[1:]
    assert "10.0.0.1:" not in opened.open[0]


def test_the_name_that_was_asked_for_is_what_a_gateway_sees(opened: Opened) -> None:
    channels = Channels()
    use(channels, MNIST, "10.0.0.1")
    use(channels, Server("::1", 9000), "::1")
    assert opened.authorities == ["mnist-service:9000", "[::1]:9000"]


def test_a_channel_in_use_closes_when_its_last_call_has_ended(opened: Opened) -> None:
    channels = Channels()
    with channels.to(MNIST, ("10.0.0.1",)), channels.to(MNIST, ("10.0.0.1",)):
        use(channels, MNIST, "10.0.0.2")
        assert opened.open == ["ipv4:10.0.0.1:9000", "ipv4:10.0.0.2:9000"]
    assert opened.open == ["ipv4:10.0.0.2:9000"]


def test_of_more_servers_than_the_pool_holds_the_one_used_least_lately_goes(opened: Opened) -> None:
    channels = Channels(most=2)
    for host in ("10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.3"):
        use(channels, Server(host, 9000), host)
    assert opened.open == ["ipv4:10.0.0.1:9000", "ipv4:10.0.0.3:9000"]


def test_closing_closes_all_and_a_later_call_opens_anew(opened: Opened) -> None:
    channels = Channels()
    use(channels, MNIST, "10.0.0.1")
    channels.close()
    assert opened.open == []
    use(channels, MNIST, "10.0.0.1")
    assert opened.open == ["ipv4:10.0.0.1:9000"]


@pytest.fixture
def two() -> Iterator[tuple[Behaviour, Behaviour, int]]:
    """Two model servers at one port, one at 127.0.0.1 and one at 127.0.0.2."""
    behaviours = Behaviour(digit=1), Behaviour(digit=2)
    first, port = serve(behaviours[0])
    second, _ = serve(behaviours[1], port, "127.0.0.2")
    yield *behaviours, port
    for server in (first, second):
        server.stop(0).wait()


def test_a_name_that_moves_is_followed_and_a_call_under_way_is_answered(two: tuple[Behaviour, Behaviour, int]) -> None:
    first, _, port = two
    answer = ["127.0.0.1"]
    predictor = Predictor(deadline_s=5, addresses=Addresses(lookups=Lookups(lambda _: list(answer), keep_s=0)))
    server = Server("localhost", port)
    assert predictor.predict(server, "mnist", bytes(784)).digit == 1
    first.delay_s = 1.0
    with ThreadPoolExecutor(1) as visitor:
        slow = visitor.submit(predictor.predict, server, "mnist", bytes(784))
        time.sleep(0.3)
        answer[:] = ["127.0.0.2"]
        assert predictor.predict(server, "mnist", bytes(784)).digit == 2
        assert slow.result().digit == 1
    predictor.close()


def test_one_address_of_several_that_is_dead_does_not_matter(two: tuple[Behaviour, Behaviour, int]) -> None:
    port = two[2]
    addresses = Addresses(lookups=Lookups(lambda _: ["::1", "127.0.0.9", "127.0.0.2"]))
    predictor = Predictor(deadline_s=5, addresses=addresses)
    assert predictor.predict(Server("localhost", port), "mnist", bytes(784)).digit == 2
    predictor.close()
