"""Looking names up: one question for all who ask, a time limit, answers that last a while, a bounded number."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.web_ui.conftest import WEB_UI, environment
from webui import lookups
from webui.lookups import Busy, Lookups


class Dns:
    """A resolver whose answers a test changes; it counts questions, and hangs while `open` is cleared."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers, self.asked, self.open = answers, [], threading.Event()
        self.open.set()

    def __call__(self, name: str) -> list[str]:
        self.asked.append(name)
        self.open.wait(10)
        if name not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.answers[name]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_counts_for_some_seconds_and_is_asked_for_again_then() -> None:
    dns, clock = Dns(a=["10.0.0.1"]), Clock()
    names = Lookups(dns, keep_s=10, clock=clock)
    assert names.addresses("a", 1) == ("10.0.0.1",)
    dns.answers["a"] = ["10.0.0.2"]
    clock.now += 9.9
    assert names.addresses("a", 1) == ("10.0.0.1",)
    clock.now += 0.2
    assert names.addresses("a", 1) == ("10.0.0.2",)
    assert dns.asked == ["a", "a"]


def test_a_name_that_leads_nowhere_is_an_error_and_is_asked_for_again() -> None:
    dns = Dns()
    names = Lookups(dns)
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            names.addresses("a", 1)
    assert dns.asked == ["a", "a"]


@pytest.mark.parametrize("hangs", [True, False], ids=["hangs", "fails"])
def test_while_the_resolver_fails_the_last_answer_counts_for_a_minute(hangs: bool) -> None:
    dns, clock = Dns(a=["10.0.0.1"]), Clock()
    names = Lookups(dns, keep_s=10, spare_s=60, clock=clock)
    names.addresses("a", 1)
    del dns.answers["a"]
    if hangs:
        dns.open.clear()
    clock.now += 59
    assert names.addresses("a", 0.05) == ("10.0.0.1",)
    clock.now += 2
    with pytest.raises(OSError):  # TimeoutError or gaierror
        names.addresses("a", 0.05)
    dns.open.set()


@pytest.mark.timed
def test_a_resolver_that_hangs_costs_the_time_limit_and_no_more() -> None:
    dns = Dns(a=["10.0.0.1"])
    dns.open.clear()
    names, began = Lookups(dns), time.monotonic()
    with pytest.raises(TimeoutError):
        names.addresses("a", 0.2)
    assert 0.2 <= time.monotonic() - began < 1.0
    dns.open.set()
    assert names.addresses("a", 5) == ("10.0.0.1",)
    assert dns.asked == ["a"]


def test_all_who_ask_for_a_name_at_once_wait_for_one_answer() -> None:
    dns = Dns(a=["10.0.0.1"])
    dns.open.clear()
    names = Lookups(dns)
    with ThreadPoolExecutor(20) as visitors:
        waiting = [visitors.submit(names.addresses, "a", 5) for _ in range(20)]
        until(lambda: dns.asked == ["a"])
        time.sleep(0.1)
        dns.open.set()
        assert {one.result() for one in waiting} == {("10.0.0.1",)}
    assert dns.asked == ["a"]


def test_more_names_than_may_be_looked_up_at_once_are_refused_at_once() -> None:
    dns = Dns(**{name: ["10.0.0.1"] for name in "abc"})
    dns.open.clear()
    names = Lookups(dns, at_once=2)
    for name in "ab":
        with pytest.raises(TimeoutError):
            names.addresses(name, 0.01)
    with pytest.raises(Busy):
        names.addresses("c", 5)
    dns.open.set()
    until(lambda: not names._running)
    assert names.addresses("c", 5) == ("10.0.0.1",)


def test_a_bounded_number_of_answers_and_of_addresses_is_kept() -> None:
    names = Lookups(lambda _: [f"10.0.0.{last}" for last in range(200)], at_once=2)
    for number in range(100):
        assert len(names.addresses(f"name-{number}", 5)) == 16
    assert len(names._kept) == 16


def test_a_name_that_cannot_even_be_asked_for_leads_nowhere() -> None:
    with pytest.raises(OSError, match="ordinal not in range"):
        Lookups().addresses("ä", 5)


def test_the_machines_resolver_knows_this_machine() -> None:
    assert {"127.0.0.1", "::1"} & set(lookups.system("localhost"))


def test_a_look_up_that_hangs_does_not_keep_the_process_from_ending() -> None:
    script = (
        "import time; from webui.lookups import Lookups\n"
        "try: Lookups(lambda name: time.sleep(60)).addresses('a', 0.01)\n"
        "except TimeoutError: print('slow')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=WEB_UI,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "slow\n", "")


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
