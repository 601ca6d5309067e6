"""The UI as it really runs: gunicorn's process, its start, its weight, its log, and how it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.web_ui.conftest import WEB_UI, Ui, environment, free_port, running_ui, wait_until
from tests.web_ui.model_server import Behaviour


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def test_it_starts_in_under_a_second_of_processor_time_and_under_100_mb(ui: Ui) -> None:
    assert ui.get()[0] == 200  # everything that loads lazily is loaded
    worker = ui.worker()
    spent, resident = cpu_s(worker) + cpu_s(psutil.Process(ui.process.pid)), worker.memory_info().rss / 1e6
    print(f"start {ui.started_in_s:.2f} s wall, {spent:.2f} CPU-s, {resident:.0f} MB resident")
    assert spent < 1.0  # wall time says more about the neighbours of this machine than about us
    assert resident < 100


def test_the_process_loads_neither_tensorflow_nor_numpy_nor_cloud_storage() -> None:
    script = (
        "import sys; from webui import create_app; create_app().test_client().get('/')\n"
        "heavy = {'tensorflow', 'tensorflow_serving', 'keras', 'numpy', 'google.cloud.storage', 'requests'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=WEB_UI,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n")


def test_an_access_is_one_plain_line_in_the_log(ui: Ui) -> None:
    ui.get("/?name=mnist")
    wait_until(lambda: "name=mnist" in ui.log.read_text(), 5, ui.log.read_text)  # written after the answer
    (line,) = [line for line in ui.log.read_text().splitlines() if "name=mnist" in line]
    assert ' 127.0.0.1 "GET /?name=mnist HTTP/1.1" 200 ' in line
    assert line.endswith(" ms")


def test_a_wrong_variable_is_one_sentence_and_exit_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{free_port()}", "webui:create_app()"],
        cwd=WEB_UI,
        env=environment(MODEL_SERVER_PORT="ninety"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    _, said = done.stderr.splitlines()  # the first line is gunicorn's own greeting
    assert said == "web-ui: MODEL_SERVER_PORT is 'ninety'; it must be a whole number from 1 to 65535."


def test_it_runs_where_only_tmp_can_be_written(tmp_path: Path, base: Path, model_port: int) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with running_ui(
        tmp_path / "ui.log",
        MODEL_SERVER_ADDRESS="127.0.0.1",
        MODEL_SERVER_PORT=model_port,
        MODEL_BASE_PATH=base,
        HOME=home,
        XDG_RUNTIME_DIR=home,
        PYTHONDONTWRITEBYTECODE=1,
    ) as ui:
        before = _files(WEB_UI)
        assert ui.get()[0] == 200
        opened = [Path(file.path) for file in ui.worker().open_files() if file.mode not in ("r", "rb")]
        assert _files(WEB_UI) == before
    assert list(home.iterdir()) == []
    assert [path for path in opened if path != tmp_path / "ui.log" and path.parts[:2] != ("/", "tmp")] == []


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if stat.S_ISREG(path.lstat().st_mode)}


def test_fault_65_a_server_that_hangs_costs_healthz_nothing(ui: Ui, behaviour: Behaviour) -> None:
    behaviour.delay_s = 8.0
    with ThreadPoolExecutor(60) as visitors:
        pages = [visitors.submit(ui.get, "/", 20) for _ in range(60)]
        time.sleep(1.5)
        began = time.monotonic()
        assert ui.get("/healthz") == (200, "ok\n")
        took = time.monotonic() - began
        statuses = [page.result()[0] for page in pages]
    assert took < 1.0  # Kubernetes' own time limit for a probe
    assert statuses == [504] * 60


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: a"], ids=["idle", "half a header"])
def test_fault_71_300_slow_connections_do_not_stop_honest_requests(ui: Ui, sent: bytes) -> None:
    address = ("127.0.0.1", int(ui.url.rpartition(":")[2]))
    with contextlib.ExitStack() as slow:
        for _ in range(300):
            slow.enter_context(socket.create_connection(address)).sendall(sent)
        time.sleep(0.5)
        began = time.monotonic()
        assert [ui.get()[0] for _ in range(5)] == [200] * 5
        assert time.monotonic() - began < 3.0
        assert ui.worker().memory_info().rss < 100e6


def test_a_killed_worker_is_replaced(ui: Ui) -> None:
    first = ui.worker()
    first.kill()
    psutil.wait_procs([first], timeout=10)
    assert ui.get()[0] == 200  # the master holds the port; the request waits for the new worker
    assert ui.worker().pid != first.pid


def test_sigterm_ends_it_with_exit_0_and_frees_the_port(tmp_path: Path) -> None:
    with running_ui(tmp_path / "ui.log") as ui:
        os.kill(ui.process.pid, signal.SIGTERM)
        assert ui.process.wait(15) == 0
        port = int(ui.url.rpartition(":")[2])
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
