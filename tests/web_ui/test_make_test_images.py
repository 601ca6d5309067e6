"""The test images of the UI's image: the trainer's very zip, from a folder or from mirrors on their bad days."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import os
import random
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits

from damage import damaged
from make_test_images import (
    COUNT,
    IMAGES,
    LABELS,
    Patience,
    Remote,
    UnavailableError,
    fetch,
    found,
    main,
    packed,
    values,
)
from tests.web_ui.conftest import WEB_UI
from webui.samples import unpack

QUICK = Patience(rounds=2, silent=0.3, file=1.0, pause=0.05)
VALUES = random.Random(1).randbytes(20_000)
PLAIN = struct.pack(">II", 2049, len(VALUES)) + VALUES
CONTENT = gzip.compress(PLAIN)
FILE = Remote(
    "file.gz", len(CONTENT), hashlib.md5(CONTENT, usedforsecurity=False).hexdigest(), PLAIN[:8], len(VALUES),
    hashlib.sha256(VALUES).hexdigest(),
)  # fmt: skip


class Mirror(ThreadingHTTPServer):
    """Sends CONTENT in the way that `behaviour` says; well again after `bad_times` requests."""

    daemon_threads = True

    def __init__(self, behaviour: str, bad_times: int = 1000) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour, self.bad_times, self.asked = behaviour, bad_times, 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.asked += 1
        behaviour = self.server.behaviour if self.server.asked <= self.server.bad_times else "well"
        if behaviour == "missing":
            self.send_error(404)
            return
        bodies = {
            "html": b"<html>Please log in</html>",
            "too long": CONTENT + b"x",
            "wrong": CONTENT[:-9] + b"123456789",
        }
        body = bodies.get(behaviour, CONTENT)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if behaviour == "mute":
            time.sleep(1)
        elif behaviour == "breaks off":
            self.wfile.write(body[:100])
        elif behaviour == "drips":
            self._drip(body)
        else:
            self.wfile.write(body)

    def _drip(self, body: bytes) -> None:
        for at in range(30):
            try:
                self.wfile.write(body[at : at + 1])
            except OSError:
                return
            time.sleep(0.1)

    def log_message(self, *_: object) -> None:
        """Say nothing: the test's output is for the test."""


@pytest.fixture
def mirror(request: pytest.FixtureRequest) -> Iterator[Mirror]:
    with Mirror(*request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def undated(archive: bytes) -> bytes:
    """A zip with its members' dates blanked: two places for each (APPNOTE.TXT 4.3.7 and 4.3.12)."""
    blank = bytearray(archive)
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        central = members.start_dir
        for member in members.infolist():
            blank[member.header_offset + 10 : member.header_offset + 14] = bytes(4)
            blank[central + 12 : central + 16] = bytes(4)
            central += 46 + len(member.filename) + len(member.extra) + len(member.comment)
    return bytes(blank)


def test_the_zip_is_byte_for_byte_the_trainers_but_for_its_date(tmp_path: Path) -> None:
    from trainer.data import Dataset, Split
    from trainer.version import write_test_images

    draw = np.random.default_rng(0)
    test = Split(draw.integers(0, 256, (700, 28, 28), np.uint8), draw.integers(0, 10, 700, np.uint8))
    write_test_images(tmp_path / "theirs.zip", Dataset("mnist", False, "here", test, test))
    ours = packed(test.images.tobytes(), test.labels.tobytes())
    assert undated(ours) == undated((tmp_path / "theirs.zip").read_bytes())


def test_the_same_images_are_the_same_bytes_at_any_time() -> None:
    assert packed(bytes(784), b"\x03") == packed(bytes(784), b"\x03")
    with zipfile.ZipFile(io.BytesIO(packed(bytes(784), b"\x03"))) as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}


def test_the_page_reads_what_is_packed() -> None:
    samples = unpack(packed(bytes(784) + b"\xff" * 784, bytes([3, 9])))
    assert (samples.labels, samples.images[784:], samples.dataset) == (bytes([3, 9]), b"\xff" * 784, "mnist")
    assert not samples.stand_in


@pytest.mark.mnist
def test_mnists_first_500_come_from_a_folder(
    tmp_path: Path, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "made.zip")], str(mnist_dir)) == 0
    samples = unpack((tmp_path / "made.zip").read_bytes())
    assert (len(samples), samples.labels[:10]) == (COUNT, bytes([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]))
    assert "500 images, 79," in capsys.readouterr().out


@pytest.mark.mnist
def test_the_published_size_and_sum_are_those_of_the_real_files(mnist_dir: Path) -> None:
    for remote in (IMAGES, LABELS):
        content = (mnist_dir / remote.name).read_bytes()
        assert len(content) == remote.size
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == remote.md5
        assert values(gzip.decompress(content), remote) == values(content, remote)  # plain is as good


def test_a_folder_without_the_files_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "made.zip"), f"--mnist-dir={tmp_path}"]) == 1
    told = capsys.readouterr().err
    assert told == f"make_test_images: {tmp_path} has no {IMAGES.name}; MNIST's test images and labels belong there.\n"
    assert not (tmp_path / "made.zip").exists()


def test_a_plain_file_of_a_folder_is_taken_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(PLAIN)
    assert values(found(tmp_path, FILE), FILE) == VALUES


def test_a_target_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, mnist_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none" / "made.zip")], str(mnist_dir)) == 1
    assert capsys.readouterr().err.endswith("cannot be written: No such file or directory.\n")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not MNIST's file"),
        (CONTENT[:-20], "is no sound gzip file"),
        (b"\x1f\x8b" + CONTENT[2:][::-1], "is no sound gzip file"),
        (PLAIN[:-1], "is not MNIST's file"),
        (PLAIN + b"x", "is not MNIST's file"),
        (gzip.compress(PLAIN + bytes(10**7)), "is not MNIST's file"),
        (struct.pack(">II", 2051, len(VALUES)) + VALUES, "is not MNIST's file"),
        (PLAIN[:-1] + b"\x00", "is not MNIST's file"),
    ],
    ids=["empty", "cut off", "no gzip", "short", "long", "bomb", "magic", "content"],
)
def test_fault_72_a_wrong_file_is_refused_in_one_sentence(content: bytes, says: str) -> None:
    with pytest.raises(UnavailableError, match=f"file.gz {says}"):
        values(content, FILE)


@limits(max_examples=200)
@given(damaged(CONTENT))
def test_fault_72_a_damaged_file_gives_the_values_or_one_error(broken: bytes) -> None:
    try:
        assert values(broken, FILE) == VALUES
    except UnavailableError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("mirror", [("well",)], indirect=True)
def test_a_sound_mirror_is_asked_once(mirror: Mirror) -> None:
    assert fetch([mirror.address], FILE, QUICK) == CONTENT
    assert mirror.asked == 1


@pytest.mark.parametrize(
    ("mirror", "says"),
    [
        (("missing",), "answered 404 Not Found"),
        (("html",), "sent only 26 bytes"),
        (("too long",), f"sent more than {len(CONTENT):,} bytes"),
        (("wrong",), "sent a file with a wrong checksum"),
        (("breaks off",), "sent only 100 bytes"),
        (("mute",), "broke off (timed out)"),
        (("drips",), "took more than 1 s"),
    ],
    indirect=["mirror"],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_fault_73_a_mirror_on_a_bad_day_is_named_with_what_it_did(mirror: Mirror, says: str) -> None:
    with pytest.raises(UnavailableError) as caught:
        fetch([mirror.address], FILE, QUICK)
    assert f"no mirror gave MNIST's test images in 2 rounds: {mirror.address}file.gz {says}" in str(caught.value)
    assert mirror.asked == 2


@pytest.mark.parametrize("mirror", [("well",)], indirect=True)
def test_fault_73_the_next_mirror_is_asked_when_one_is_down(mirror: Mirror) -> None:
    assert fetch(["http://127.0.0.1:9/", mirror.address], FILE, QUICK) == CONTENT


@pytest.mark.parametrize("mirror", [("breaks off", 1)], indirect=True)
def test_a_mirror_that_failed_once_is_asked_again(mirror: Mirror) -> None:
    assert fetch([mirror.address], FILE, QUICK) == CONTENT


def test_without_a_network_the_build_ends_with_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [str(tmp_path / "made.zip"), "--mirror=http://127.0.0.1:9"]
    assert main(argv, patience=dataclasses.replace(QUICK, rounds=1)) == 1
    told = capsys.readouterr().err
    assert "http://127.0.0.1:9/t10k-images-idx3-ubyte.gz did not answer" in told
    assert told.count("\n") == 1
    assert "MNIST_DIR, a folder" in told


@pytest.mark.parametrize("address", ["ftp://x/", "file:///etc/", "x"])
def test_only_addresses_of_the_web_are_mirrors(
    tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "made.zip"), f"--mirror={address}"])
    assert "is no http:// or https:// address" in capsys.readouterr().err


def test_the_images_build_argument_names_the_mirrors(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "MNIST_DIR"}
    done = subprocess.run(
        [sys.executable, WEB_UI / "make_test_images.py", tmp_path / "made.zip"],
        env=environ | {"MNIST_MIRRORS": "https://example.org/mnist/ ftp://example.org/"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "'ftp://example.org/' is no http:// or https:// address" in done.stderr
