"""Reading beside the exported versions: a folder, and Cloud Storage's own client with a loopback bucket."""

from __future__ import annotations

import fnmatch
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web_ui.conftest import free_port, images_zip, publish
from webui.cards import Cards
from webui.patience import Patient
from webui.samples import PATH, Gallery
from webui.storage import CloudStorage, Folder, StorageError, versions

# google-api-core says so once, when it is imported beside grpcio; plain Cloud Storage needs no grpcio-status.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")


def test_a_base_path_is_a_folder_a_bucket_or_nothing(tmp_path: Path) -> None:
    assert versions("") is None
    assert isinstance(versions(str(tmp_path)), Folder)
    assert isinstance(versions("gs://bucket/export"), Patient)


def test_the_newest_is_the_greatest_number_not_the_last_name(tmp_path: Path) -> None:
    for name in ("9", "10", "10.partial-7", "x", "٣٣"):
        publish(tmp_path, name)
    (tmp_path / "11").mkdir()  # has no test images
    (tmp_path / "12").write_text("no folder")
    assert Folder(tmp_path).newest(PATH) == "10"


def test_a_file_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert Folder(tmp_path).read("1", "model_card.json", 10) is None


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    publish(tmp_path, 1)
    assert len(Folder(tmp_path).read("1", PATH, 10) or b"") == 10


def test_a_base_that_is_no_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="Not a directory"):
        Folder(tmp_path / "file").newest(PATH)


class Bucket(http.server.ThreadingHTTPServer):
    """A bucket on loopback: lists objects and gives them out, as Cloud Storage's JSON interface does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Objects)
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.fails = 0
        self.silent_s = 0.0


class Objects(http.server.BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        self.server.asked.append(address.path)
        name = urllib.parse.unquote(address.path.rpartition("/o/")[2])
        time.sleep(self.server.silent_s)
        if self.server.fails:
            self._send(self.server.fails, b'{"error": {"message": "no"}}')
        elif address.path.endswith("/o"):
            glob = urllib.parse.parse_qs(address.query)["matchGlob"][0]
            names = [name for name in self.server.objects if fnmatch.fnmatchcase(name, glob)]
            self._send(200, json.dumps({"items": [{"name": name} for name in names]}).encode())
        elif name in self.server.objects:
            self._send(200, self.server.objects[name])
        else:
            self._send(404, b"No such object")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the test's output is for the test."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with Bucket() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_images_and_cards_come_from_a_bucket_too(bucket: Bucket) -> None:
    bucket.objects = {
        "export/9/" + PATH: images_zip(3),
        "export/10/" + PATH: images_zip(4, "digits", stand_in=True),
        "export/11.partial-5/" + PATH: images_zip(5),
        "export/10/model_card.json": b'{"dataset": {"stand_in": true}}',
    }
    where = CloudStorage("gs://any/export")
    assert len(Gallery(where).samples()) == 4
    assert Cards(where).trained_on_stand_in(10)
    assert Cards(where).card(9) is None


def test_a_bucket_is_listed_once_in_a_while_and_a_card_read_once(bucket: Bucket) -> None:
    bucket.objects = {"export/9/" + PATH: images_zip(3), "export/9/model_card.json": b"{}"}
    where = CloudStorage("gs://any/export/", every_s=0.5)
    gallery, cards = Gallery(where), Cards(where)
    for _ in range(5):
        gallery.samples()
        cards.card(9)
    assert [name.rpartition("/")[2] for name in bucket.asked] == [
        "o",
        "export%2F9%2Fassets.extra%2Ftest_images.zip",
        "export%2F9%2Fmodel_card.json",
        "aliases.json",
    ]
    bucket.objects["export/10/" + PATH] = images_zip(6)
    time.sleep(0.6)
    assert len(gallery.samples()) == 6


@pytest.mark.parametrize(
    ("base", "name"),
    [("gs://any/export", "aliases.json"), ("gs://any/a/b/", "a/aliases.json"), ("gs://any", "aliases.json")],
)
def test_a_file_beside_the_versions_is_looked_for_one_level_up(bucket: Bucket, base: str, name: str) -> None:
    bucket.objects = {name: b"{}"}
    assert CloudStorage(base).beside("aliases.json", 10) == b"{}"
    assert CloudStorage(base).beside("other.json", 10) is None


def test_a_file_beside_the_versions_of_a_folder_is_found_too(tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text("{}")
    assert Folder(tmp_path / "export").beside("aliases.json", 10) == b"{}"
    assert Folder(tmp_path / "export").beside("other.json", 10) is None


@pytest.mark.timed
def test_a_bucket_that_hangs_holds_up_one_page_for_a_moment_and_the_others_not_at_all(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.silent_s = 3.0
    (tmp_path / "baked.zip").write_bytes(images_zip(7))
    where = Patient(CloudStorage("gs://any/export"), wait_s=0.3)
    gallery, cards = Gallery(where, tmp_path / "baked.zip"), Cards(where)
    began = time.monotonic()
    for _ in range(20):
        assert len(gallery.samples()) == 7
        gallery.answered(10)
        assert not cards.trained_on_stand_in(10)
    assert time.monotonic() - began < 4.0  # if each page waited: 6 s; the library is loaded meanwhile, too


@pytest.mark.timed
@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_bucket_that_refuses_is_one_line_at_once(bucket: Bucket, status: int) -> None:
    bucket.fails = status
    began = time.monotonic()
    with pytest.raises(StorageError, match="gs://any/export/: ") as caught:
        CloudStorage("gs://any/export").newest(PATH)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 3.0


def test_a_bucket_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StorageError, match="gs://any/export/"):
        CloudStorage("gs://any/export").newest(PATH)
