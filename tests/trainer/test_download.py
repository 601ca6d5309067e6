"""Fetching from mirrors: real sockets on loopback that do what mirrors do on bad days."""

from __future__ import annotations

import gzip
import hashlib
import random
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from trainer import download
from trainer.download import Patience, Remote, UnavailableError, fetch
from trainer.errors import TrainerError

QUICK = Patience(connection=0.3, silent=1, overall=5)
CONTENT = gzip.compress(random.Random(1).randbytes(200_000))
FILE = Remote("file.gz", len(CONTENT), hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(), (), "")


class Mirror(ThreadingHTTPServer):
    """Serves CONTENT; `behaviour` is one of the words that the handler knows."""

    daemon_threads = True

    def __init__(self, behaviour: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = behaviour
        self.asked: list[tuple[str, str | None]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.asked.append((self.path, wanted))
        behaviour = self.server.behaviour
        offset = int(wanted[6:-1]) if wanted and behaviour != "no ranges" else 0
        body = {
            "html": b"<html>Please log in</html>",
            "too long": CONTENT + b"x",
            "wrong": CONTENT[:-9] + b"123456789",
        }
        content = body.get(behaviour, CONTENT)[offset:]
        if behaviour == "missing":
            self.send_error(404)
            return
        self.send_response(206 if offset else 200)
        if offset:
            self.send_header("Content-Range", f"bytes {offset}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Type", "text/html" if behaviour == "html" else "application/gzip")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.send_body(behaviour, content)

    def send_body(self, behaviour: str, content: bytes) -> None:
        if behaviour == "breaks off":
            content = content[:80_000]
        if behaviour == "mute":
            time.sleep(1)
            return
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirrors() -> Iterator[dict[str, Mirror]]:
    """A mirror for each behaviour, started when it is asked for."""

    class Started(dict[str, Mirror]):
        def __missing__(self, behaviour: str) -> Mirror:
            self[behaviour] = mirror = Mirror(behaviour)
            Thread(target=mirror.serve_forever, args=(0.02,), daemon=True).start()
            return mirror

    started = Started()
    yield started
    for mirror in started.values():
        mirror.shutdown()
        mirror.server_close()


def get(cache: Path, *mirrors: Mirror, patience: Patience = QUICK) -> str:
    return fetch([mirror.address for mirror in mirrors], cache, patience, [FILE])


def test_a_sound_cache_is_not_fetched_again(mirrors: dict[str, Mirror], tmp_path: Path) -> None:
    (tmp_path / FILE.name).write_bytes(CONTENT)
    assert get(tmp_path, mirrors["good"]) == str(tmp_path)
    assert mirrors["good"].asked == []


def test_a_file_is_fetched_into_a_cache_that_does_not_exist_yet(mirrors: dict[str, Mirror], tmp_path: Path) -> None:
    assert get(tmp_path / "new" / "cache", mirrors["good"]) == mirrors["good"].address
    assert (tmp_path / "new" / "cache" / FILE.name).read_bytes() == CONTENT


@pytest.mark.parametrize("damaged", [CONTENT[:-1] + b"x", CONTENT[:-1], CONTENT + b"x", b""])
def test_fault_73_a_damaged_file_in_the_cache_is_named_and_fetched_again(
    damaged: bytes, mirrors: dict[str, Mirror], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE.name).write_bytes(damaged)
    get(tmp_path, mirrors["good"])
    assert (tmp_path / FILE.name).read_bytes() == CONTENT
    assert f"{tmp_path / FILE.name} is damaged (its size or checksum is wrong)" in capsys.readouterr().out


def test_a_folder_in_the_place_of_a_cached_file_is_one_sentence(mirrors: dict[str, Mirror], tmp_path: Path) -> None:
    (tmp_path / FILE.name / "deep").mkdir(parents=True)
    with pytest.raises(TrainerError, match=r"Could not write to the cache .*: Is a directory\."):
        get(tmp_path, mirrors["good"])


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("html", "sent no gzip file but text/html"),
        ("missing", "answered 404"),
        ("wrong", "sent a file with a wrong checksum"),
        ("too long", "sent more than the"),
        ("mute", "broke off"),
    ],
)
def test_fault_73_a_bad_mirror_is_named_and_the_next_one_asked(
    behaviour: str, said: str, mirrors: dict[str, Mirror], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get(tmp_path, mirrors[behaviour], mirrors["good"]) == mirrors["good"].address
    assert (tmp_path / FILE.name).read_bytes() == CONTENT
    assert f"{mirrors[behaviour].address}{FILE.name} {said}" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", FILE.name]


@pytest.mark.parametrize("behaviour", ["html", "missing", "wrong", "too long", "mute"])
def test_fault_73_nothing_wrong_ever_enters_the_cache(
    behaviour: str, mirrors: dict[str, Mirror], tmp_path: Path
) -> None:
    with pytest.raises(UnavailableError, match="MNIST could not be fetched"):
        get(tmp_path, mirrors[behaviour])
    assert not (tmp_path / FILE.name).exists()


def test_fault_73_a_mirror_that_is_down_is_passed_over(mirrors: dict[str, Mirror], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    good = mirrors["good"].address
    assert fetch([f"http://127.0.0.1:{port}/", good], tmp_path, QUICK, [FILE]) == good


@pytest.mark.parametrize("address", ["http://[/", "http://a..b/", "http://a b/", "http://127.0.0.1:x/"])
def test_fault_73_an_address_that_is_none_is_passed_over(
    address: str, mirrors: dict[str, Mirror], tmp_path: Path
) -> None:
    good = mirrors["good"].address
    assert fetch([address, good], tmp_path, QUICK, [FILE]) == good


def test_a_download_that_breaks_off_goes_on_from_there(mirrors: dict[str, Mirror], tmp_path: Path) -> None:
    get(tmp_path, mirrors["breaks off"])
    ranges = [asked for _, asked in mirrors["breaks off"].asked]
    assert ranges == [None, "bytes=80000-", "bytes=160000-"]
    assert (tmp_path / FILE.name).read_bytes() == CONTENT


def test_a_download_of_an_earlier_run_goes_on_at_another_mirror(mirrors: dict[str, Mirror], tmp_path: Path) -> None:
    (tmp_path / f"{FILE.name}.part").write_bytes(CONTENT[:1234])
    get(tmp_path, mirrors["good"])
    assert mirrors["good"].asked == [(f"/{FILE.name}", "bytes=1234-")]
    assert (tmp_path / FILE.name).read_bytes() == CONTENT


def test_a_mirror_without_ranges_starts_over(mirrors: dict[str, Mirror], tmp_path: Path) -> None:
    (tmp_path / f"{FILE.name}.part").write_bytes(CONTENT[:1234])
    get(tmp_path, mirrors["no ranges"])
    assert (tmp_path / FILE.name).read_bytes() == CONTENT


def test_a_log_in_page_does_not_cost_what_was_fetched_before(mirrors: dict[str, Mirror], tmp_path: Path) -> None:
    part = tmp_path / f"{FILE.name}.part"
    part.write_bytes(CONTENT[:1234])
    mirrors["html"].behaviour = "html"
    with pytest.raises(UnavailableError):
        get(tmp_path, mirrors["html"])
    assert part.read_bytes() == CONTENT[:1234]


def test_a_part_that_is_wrong_is_thrown_away_and_fetched_whole(mirrors: dict[str, Mirror], tmp_path: Path) -> None:
    (tmp_path / f"{FILE.name}.part").write_bytes(b"\x1f\x8b" + b"x" * 1000)
    get(tmp_path, mirrors["good"])
    assert [asked for _, asked in mirrors["good"].asked] == ["bytes=1002-", None]
    assert (tmp_path / FILE.name).read_bytes() == CONTENT


@pytest.mark.timed
def test_mirrors_that_never_answer_cost_a_bounded_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:  # accepts, and never says a word
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            fetch([address] * 9, tmp_path, Patience(connection=0.4, silent=1, overall=5), [FILE])
        assert time.monotonic() - started < 2


def test_auto_waits_at_most_ten_seconds_for_mirrors() -> None:
    assert download.SHORT.silent + 0.5 < 10


@pytest.mark.timed
def test_a_name_that_takes_for_ever_to_look_up_costs_a_bounded_time_and_is_not_heard_of_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looked_up = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: looked_up.wait(5) and [])
    before, started = set(threading.enumerate()), time.monotonic()
    with pytest.raises(UnavailableError, match="gave up after"):
        fetch(["http://mirror.invalid/"], tmp_path, Patience(0.3, 0.5, 5), [FILE])
    assert time.monotonic() - started < 2
    looked_up.set()
    for left in set(threading.enumerate()) - before:
        left.join(5)
    assert "did not answer" not in capsys.readouterr().out


def test_fault_29_a_cache_that_cannot_be_written_is_named(mirrors: dict[str, Mirror]) -> None:
    with pytest.raises(TrainerError, match="Could not write to the cache /proc/nowhere"):
        get(Path("/proc/nowhere"), mirrors["good"])
