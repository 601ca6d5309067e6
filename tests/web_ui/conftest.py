"""What the UI's tests share: test images, a model server in this process, and the UI as a real process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from flask.testing import FlaskClient

from conftest import shared_folder
from tests.web_ui.model_server import Behaviour, serve
from webui import create_app
from webui.client import Predictor
from webui.servers import Server
from webui.serving_api import Prediction, Version
from webui.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.web_ui.stack import Stack

WEB_UI = Path(__file__).resolve().parents[2] / "web-ui"
WEBUI = (sys.executable, "-m", "webui")  # to be run in that folder


def images_zip(count: int = 12, dataset: str = "mnist", stand_in: bool = False) -> bytes:
    """A test_images.zip of `count` images; image i shows a stripe and has the label i modulo 10."""
    images = b"".join(bytes((row * 9 + i) % 256 for row in range(28) for _ in range(28)) for i in range(count))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.idx", struct.pack(">IIII", 2051, count, 28, 28) + images)
        archive.writestr("labels.idx", struct.pack(">II", 2049, count) + bytes(i % 10 for i in range(count)))
        archive.writestr("source.json", json.dumps({"dataset": dataset, "stand_in": stand_in}))
    return packed.getvalue()


def publish(base: Path, version: int | str, stand_in: bool = False, count: int = 12) -> None:
    """Put a version with card and test images below `base`, as the trainer does."""
    extra = base / str(version) / "assets.extra"
    extra.mkdir(parents=True)
    name = "digits" if stand_in else "mnist"
    (extra / "test_images.zip").write_bytes(images_zip(count, name, stand_in))
    card = {"tag": str(version), "dataset": {"name": name, "stand_in": stand_in}}
    (base / str(version) / "model_card.json").write_text(json.dumps(card))


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def model_port(behaviour: Behaviour) -> Iterator[int]:
    """The port of a model server that does what `behaviour` says."""
    server, port = serve(behaviour)
    yield port
    server.stop(0).wait()


@pytest.fixture
def predictor() -> Iterator[Predictor]:
    made = Predictor(deadline_s=2.0)
    yield made
    made.close()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A base path with one version, the one that the model server says it serves."""
    publish(tmp_path / "export", 1763900000)
    return tmp_path / "export"


SHARES = (0.0, 0.001, 0.01, 0.02, 0.03, 0.04, 0.05, 0.8, 0.049, 0.0)


class Says:
    """A predictor that says 7, or raises; it remembers what it was asked."""

    def __init__(self, problem: BaseException | None = None, version: int = 1763900000) -> None:
        self.problem, self.version, self.asked = problem, version, []
        self.has: dict[str, tuple[Version, ...]] = {}

    def predict(
        self, server: Server, model: str, image: bytes | Sequence[float], version: int | None = None
    ) -> Prediction:
        self.asked.append((str(server), model, image))
        if self.problem:
            raise self.problem
        return Prediction(7, SHARES, version or self.version, 3.25)

    def versions(self, server: Server, model: str) -> tuple[Version, ...]:
        return self.has.get(str(server), (Version(self.version, "AVAILABLE"),))


def client(base: Path | str, predictor: Says | None = None, **changes: object) -> FlaskClient:
    """A client of the app with `base` as base path, other settings by name, and a predictor."""
    settings = Settings(model_base_path=str(base), **changes)
    return create_app(predictor or Says(), settings).test_client()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@dataclass
class Ui:
    """A running UI: its address, its process, and what it wrote."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    started_in_s: float

    def get(self, path: str = "/", timeout: float = 15) -> tuple[int, str]:
        """Status and text of a GET."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=timeout) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def measured(self) -> psutil.Process:
        """The process as psutil sees it: memory, files, time."""
        return psutil.Process(self.process.pid)


def environment(**variables: object) -> dict[str, str]:
    """This process's environment without what would reach the UI by accident, plus `variables`."""
    ours = ("MODEL_", "TEST_IMAGES", "ALLOWED_", "STORAGE_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {name: str(value) for name, value in variables.items()}


@contextlib.contextmanager
def running_ui(log: Path, *flags: str, **variables: object) -> Iterator[Ui]:
    """Start the UI by the command of the manifest and more flags; end it, and see that nothing of it is left."""
    port = free_port()
    command = [*WEBUI, "--host=127.0.0.1", f"--port={port}", "--drain-seconds=0", *flags]
    began = time.monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=WEB_UI, env=environment(**variables), stdout=out, stderr=out)
    ui = Ui(f"http://127.0.0.1:{port}", process, log, 0.0)
    try:
        wait_until(lambda: answers(ui), 20, lambda: f"the UI did not start: {log.read_text()}")
        ui.started_in_s = time.monotonic() - began
        yield ui
    finally:
        if process.poll() is None:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, and see its whole family gone; what stays is killed and fails the test."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    finally:
        left = psutil.wait_procs(family, timeout=5)[1]
        for orphan in left:
            orphan.kill()
    assert left == []


def answers(ui: Ui) -> bool:
    try:
        return ui.get("/healthz", timeout=5)[0] == 200
    except OSError:
        return False


def wait_until(holds: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    """Ask every 20 ms; fail with the given words when the time is over."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.02)


@pytest.fixture
def ui(tmp_path: Path, base: Path, model_port: int) -> Iterator[Ui]:
    """The UI as a process, connected to the model server of this test."""
    with running_ui(
        tmp_path / "ui.log",
        MODEL_SERVER_ADDRESS="127.0.0.1",
        MODEL_SERVER_PORT=model_port,
        MODEL_BASE_PATH=base,
    ) as started:
        yield started


@pytest.fixture(scope="session")
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A version to serve: trained on MNIST, once for all processes that test, or the small one without MNIST."""
    from tests.web_ui.stack import train

    mnist = os.environ.get("MNIST_DIR")
    if not mnist:
        return request.getfixturevalue("version")
    with shared_folder(tmp_path_factory, "web-ui-model") as folder:
        return train(folder, mnist)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Stack]:
    """The embedded model server with a trained model, and the UI, for all tests of a file."""
    from tests.web_ui.stack import running_stack

    with running_stack(tmp_path_factory.mktemp("stack"), model) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from tests.web_ui.browsing import chromium

    with chromium() as launched:
        yield launched


@pytest.fixture
def open_page(browser: Browser, stack: Stack) -> Iterator[Callable[..., Page]]:
    """Opens the stack's page in a fresh profile, by the context's options; afterwards nothing may have complained."""
    from tests.web_ui.browsing import complaints_of

    opened: list[tuple[BrowserContext, list[str]]] = []

    def go(path: str = "/", unreachable: bool = False, **options: object) -> Page:
        context = browser.new_context(**options)
        page = context.new_page()
        opened.append((context, complaints_of(page, unreachable)))
        page.goto(stack.ui.url + path)
        return page

    yield go
    for context, complaints in opened:
        context.close()
        assert complaints == []
