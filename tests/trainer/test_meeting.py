"""Members wait for each other before TensorFlow does: all or none go on, and a wait can be ended."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from conftest import free_ports
from trainer import meeting
from trainer.cluster import Member
from trainer.errors import LostMember, UsageError

TERMS = {"seed": 1, "dataset": "digits"}


class Members:
    """A chief and two workers, each of which meets the others in a thread of its own."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        chief, *workers = (f"127.0.0.1:{port}" for port in free_ports(3))
        self.cluster, self.pool = {"chief": (chief,), "worker": tuple(workers)}, pool

    def meet(self, role: str, index: int = 0, patience: float = 20, **changed: object) -> Future[None]:
        member = Member(role, index, self.cluster)
        return self.pool.submit(meeting.meet, member, TERMS | changed, patience)


@pytest.fixture
def members() -> Iterator[Members]:
    with ThreadPoolExecutor() as pool:
        yield Members(pool)


def test_nobody_goes_on_until_the_last_has_come(members: Members) -> None:
    early = [members.meet("chief"), members.meet("worker", 0)]
    time.sleep(1)
    assert not any(one.done() for one in early)
    late = members.meet("worker", 1)
    for one in (*early, late):
        assert one.result(10) is None


def test_a_worker_that_came_and_went_is_waited_for_again(members: Members) -> None:
    chief = members.meet("chief")
    host, port = members.cluster["chief"][0].split(":")
    time.sleep(0.5)
    with socket.create_connection((host, int(port))) as line:
        line.sendall(b'{"name": "worker 0", "terms": {"seed": 1, "dataset": "digits"}}\n')
        time.sleep(0.5)
    other = members.meet("worker", 1)
    time.sleep(1)
    assert not chief.done()
    again = members.meet("worker", 0)
    assert [one.result(10) for one in (chief, other, again)] == [None] * 3


def test_a_worker_with_other_settings_is_refused_on_both_sides_in_the_same_words(members: Members) -> None:
    chief, worker = members.meet("chief"), members.meet("worker", 1, seed=2)
    for one in (chief, worker):
        with pytest.raises(UsageError, match=r"^worker 1 has seed 2 and the chief 1; give all the same\.$"):
            one.result(10)


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", b"[]\n", b'{"name": "worker 9"}\n'])
def test_a_stranger_at_the_chiefs_port_does_not_count(noise: bytes, members: Members) -> None:
    chief = members.meet("chief")
    host, port = members.cluster["chief"][0].split(":")
    time.sleep(0.5)
    with socket.create_connection((host, int(port))) as line:
        line.sendall(noise)
        others = [members.meet("worker", index) for index in (0, 1)]
        assert [one.result(15) for one in (chief, *others)] == [None] * 3


@pytest.mark.parametrize(("role", "missing"), [("chief", "worker 0, worker 1"), ("worker", "the chief at 127")])
def test_a_wait_in_vain_ends_with_who_is_missing_and_a_code_that_is_retried(
    role: str, missing: str, members: Members
) -> None:
    with pytest.raises(LostMember, match=f"^Waited in vain for {missing}") as caught:
        members.meet(role, patience=0.5).result(10)
    assert caught.value.code == 138


def test_who_is_missing_is_said_now_and_then(
    members: Members, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(meeting, "REMIND", 0.3)
    with pytest.raises(LostMember):
        members.meet("chief", patience=1).result(10)
    assert "Waiting for worker 0, worker 1\n" in capsys.readouterr().out


def test_the_chief_waits_until_every_server_answers() -> None:
    chief, ps, worker = free_ports(3)
    at = {"chief": (f"127.0.0.1:{chief}",), "ps": (f"127.0.0.1:{ps}",), "worker": (f"127.0.0.1:{worker}",)}
    member = Member("chief", 0, at)
    with socket.create_server(("127.0.0.1", ps)):
        with pytest.raises(LostMember, match=rf"^Waited in vain for worker 0 at 127\.0\.0\.1:{worker}\.$"):
            meeting.reach(member, patience=0.5)
        timer = threading.Timer(0.5, lambda: opened.append(socket.create_server(("127.0.0.1", worker))))
        opened: list[socket.socket] = []
        timer.start()
        meeting.reach(member, patience=10)
        opened[0].close()
