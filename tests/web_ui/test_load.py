"""50 people who never pause, while the model server is killed and comes back: no page hangs, and none is a crash.

    python -m pytest tests/web_ui/test_load.py --seconds=30 -s

is what docs/containers.md tells of; in the suite it is a few seconds.
"""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.web_ui.conftest import Ui, free_port, running_ui, wait_until

pytestmark = pytest.mark.slow

REPO = Path(__file__).resolve().parents[2]
USERS = 50
DEADLINE_S = 5.0
"""A prediction's own; no page takes longer, whatever is wrong."""

SETTLED_S = 3.0
"""Within which everybody has noticed that the model server is back."""


class Page(NamedTuple):
    """An answer: when it was asked for and came, its status, and whether it was a whole page."""

    sent: float
    came: float
    status: int
    whole: bool

    @property
    def took(self) -> float:
        return self.came - self.sent


class Models:
    """The embedded model server as a process that may be killed and started again on its port."""

    def __init__(self, export: Path, log: Path) -> None:
        self.export, self.log, self.port, self.rest = export, log, free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and come back when it serves."""
        ports = (f"--port={self.port}", f"--rest_api_port={self.rest}")
        model = ("--model_name=mnist", f"--model_base_path={self.export}")
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "serving", *ports, *model]
            self.process = subprocess.Popen(command, cwd=REPO, stdout=log, stderr=log)
        wait_until(self.serves, 60, self.log.read_text)

    def serves(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.rest, timeout=5)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/v1/models/mnist")
            return b"AVAILABLE" in connection.getresponse().read()
        return False

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def models(version: Path, tmp_path: Path) -> Iterator[Models]:
    made = Models(version.parent, tmp_path / "models.log")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def ui(models: Models, tmp_path: Path) -> Iterator[Ui]:
    where = {"MODEL_SERVER_ADDRESS": "127.0.0.1", "MODEL_SERVER_PORT": models.port, "MODEL_BASE_PATH": models.export}
    with running_ui(tmp_path / "ui.log", **where) as started:
        yield started


def test_fault_65_50_users_get_a_page_each_time_while_the_model_server_is_killed_and_comes_back(
    ui: Ui, models: Models, pytestconfig: pytest.Config
) -> None:
    third = pytestconfig.getoption("--seconds") / 3
    assert ui.get()[0] == 200
    with Crowd(ui.port) as crowd:
        time.sleep(third)
        killed = time.monotonic()
        models.kill()
        time.sleep(third)
        models.start()
        back = time.monotonic()
        time.sleep(max(third, SETTLED_S + 1))
    report(crowd.pages, killed, back)

    assert crowd.failed == []
    assert all(page.whole for page in crowd.pages)
    assert max(page.took for page in crowd.pages) < DEADLINE_S + 1
    assert {page.status for page in crowd.pages if page.came < killed} == {200}
    down = {page.status for page in crowd.pages if killed + 0.1 < page.sent and page.came < back - 2}
    assert down
    assert down <= {502, 503, 504}
    between = {page.status for page in crowd.pages if page.came >= killed and page.sent < back + SETTLED_S}
    assert between <= {200, 502, 503, 504}
    assert {page.status for page in crowd.pages if page.sent >= back + SETTLED_S} == {200}
    assert ui.process.poll() is None
    assert "Traceback" not in ui.log.read_text()


class Crowd:
    """USERS on a kept connection each, who ask for the page again and again."""

    def __init__(self, port: int) -> None:
        self.port, self.pages, self.failed = port, [], []  # list appends are atomic
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._use) for _ in range(USERS)]

    def __enter__(self) -> Crowd:
        for each in self.threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for each in self.threads:
            each.join()

    def _use(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            while not self.over.is_set():
                self.pages.append(_ask(connection))
        except (OSError, http.client.HTTPException) as error:
            self.failed.append(repr(error))
        finally:
            connection.close()


def _ask(connection: http.client.HTTPConnection) -> Page:
    sent = time.monotonic()
    connection.request("GET", "/")
    answer = connection.getresponse()
    text = answer.read()
    return Page(sent, time.monotonic(), answer.status, b">Connect</button>" in text and text.endswith(b"</html>"))


def report(pages: list[Page], killed: float, back: float) -> None:
    """Print requests a second and latencies with the server, without, and with it again."""
    began, ended = min(page.sent for page in pages), max(page.came for page in pages)
    for name, since, until in (("before", began, killed), ("without", killed, back), ("again", back, ended)):
        took = sorted(page.took * 1000 for page in pages if since <= page.came < until)
        statuses = dict(Counter(page.status for page in pages if since <= page.came < until))
        p50, p99 = (took[int(len(took) * share)] for share in (0.5, 0.99))
        rate = len(took) / (until - since)
        print(
            f"\n{name:>8}: {rate:5.0f} pages/s, p50 {p50:.0f} ms, p99 {p99:.0f}, most {took[-1]:.0f}, {statuses}",
            end="",
        )
    first = min(page.came for page in pages if page.came > back - 2 and page.status == 200)
    last = max((page.came for page in pages if page.status != 200), default=back)
    print(f"\nfirst answer {first - back:+.2f} s, last refusal {last - back:+.2f} s after the server was back")
