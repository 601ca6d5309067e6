"""The UI as it really runs: its process, its start, its weight, its log, and how it ends."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.web_ui.conftest import WEB_UI, WEBUI, Ui, environment, free_port, running_ui, wait_until
from tests.web_ui.model_server import Behaviour
from webui import limits
from webui.headers import HEADERS


def test_it_starts_in_under_a_second_of_processor_time_and_under_100_mb(ui: Ui) -> None:
    assert ui.get()[0] == 200  # everything that loads lazily is loaded
    times, resident = ui.measured.cpu_times(), ui.measured.memory_info().rss / 1e6
    spent = times.user + times.system
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
    line = logged(ui, "name=mnist")
    assert re.fullmatch(r'\[[^]]+\] 127\.0\.0\.1 "GET /\?name=mnist HTTP/1\.1" 200 \d+ bytes \d+ ms', line)


def test_the_bytes_in_the_log_are_those_of_the_body_of_a_file_too(ui: Ui) -> None:
    _, style = ui.get("/static/style.css")
    assert f" 200 {len(style.encode())} bytes " in logged(ui, "style.css")


def test_nothing_that_a_client_sends_breaks_out_of_its_line(ui: Ui) -> None:
    assert raw(ui, b'GET /odd"\x1b[31m HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n').startswith(b"HTTP/1.1 404 ")
    assert '"GET /odd\\x22\\x1b[31m HTTP/1.1" 404 ' in logged(ui, "odd")


def test_probes_that_are_well_are_not_logged(ui: Ui) -> None:
    assert [ui.get(path) for path in ("/healthz", "/readyz")] == [(200, "ok\n"), (200, "ready\n")]
    ui.get("/?name=last")
    logged(ui, "name=last")
    assert "healthz" not in ui.log.read_text()
    assert "readyz" not in ui.log.read_text()


def logged(ui: Ui, text: str) -> str:
    """The log's one line with `text`; it is written after the answer."""
    wait_until(lambda: text in ui.log.read_text(), 5, ui.log.read_text)
    (line,) = [line for line in ui.log.read_text().splitlines() if text in line]
    return line


def raw(ui: Ui, request: bytes) -> bytes:
    """The whole answer to bytes that no HTTP library would send."""
    with socket.create_connection(("127.0.0.1", ui.port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


START = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400 Bad Request"),
        (b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n", b"400 Bad Request"),
        (START + b"Content-Length: -1\r\n\r\n", b"400 Bad Request"),
        (START + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", b"400 Bad Request"),
        (START + b"Content-Length: 99999999999\r\n\r\n", b"413 Request Entity Too Large"),
        (START + b"X: " + b"a" * 17_000 + b"\r\n\r\n", b"431 Request Header Fields Too Large"),
        (START + b"Transfer-Encoding: gzip\r\n\r\n", b"501 Not Implemented"),
        (START + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n", b"400 Bad Request"),
    ],
)
def test_fault_69_what_is_refused_before_the_app_is_one_sentence_with_the_security_headers(
    ui: Ui, request_: bytes, status: bytes
) -> None:
    head, _, body = raw(ui, request_).partition(b"\r\n\r\n")
    first, *headers = head.splitlines()
    assert first.partition(b" ")[2] == status
    assert {f"{name}: {value}".encode() for name, value in HEADERS.items()} <= set(headers)
    assert b"Connection: close" in headers
    assert body.count(b"\n") == 1
    assert not [line for line in headers if line.startswith((b"Server", b"Via"))]
    assert ui.get("/healthz")[0] == 200
    assert "Traceback" not in ui.log.read_text()


def test_a_body_that_is_far_too_large_gets_its_answer_although_the_client_reads_it_late(ui: Ui) -> None:
    size = limits.BODY_BYTES + (16 << 20)
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    assert raw(ui, head + bytes(size)).startswith(b"HTTP/1.1 413 Request Entity Too Large\r\n")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"X: none", b"503 SERVICE UNAVAILABLE"),
        (b"Content-Length: x", b"400 Bad Request"),
        (b"Content-Length: 99999999999", b"413 Request Entity Too Large"),
    ],
)
def test_who_waits_for_leave_to_send_a_body_is_answered_at_once_where_none_is_wanted(
    tmp_path: Path, header: bytes, status: bytes
) -> None:
    with running_ui(tmp_path / "ui.log") as ui:
        answer = raw(ui, START + b"Connection: close\r\nExpect: 100-continue\r\n" + header + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 " + status)


def test_of_requests_sent_before_the_first_answer_only_that_is_given(ui: Ui) -> None:
    answer = raw(ui, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close" in answer


def run(*flags: str, **variables: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a UI that is not expected to stay."""
    done = subprocess.run(
        [*WEBUI, *flags],
        cwd=WEB_UI,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_wrong_variable_is_one_sentence_and_exit_2() -> None:
    said = "web-ui: MODEL_SERVER_PORT is 'ninety'; it must be a whole number from 1 to 65535.\n"
    assert run(MODEL_SERVER_PORT="ninety") == (2, "", said)


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("--port=70000", "Argument --port: '70000' is no port, a whole number from 1 to 65535."),
        ("--prot=5000", "Unrecognized arguments: --prot=5000."),
        ("--drain-seconds=nan", "Argument --drain-seconds: 'nan' is no number of seconds from 0 to 3600."),
    ],
)
def test_a_wrong_flag_is_one_sentence_and_exit_2(flag: str, said: str) -> None:
    assert run(flag) == (2, "", f"web-ui: {said}\n")


def test_a_port_that_is_taken_is_one_sentence_and_exit_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = f"web-ui: Cannot listen on 127.0.0.1, port {port}: Address already in use.\n"
        assert run("--host=127.0.0.1", f"--port={port}") == (1, "", said)


def test_help_names_every_flag_and_exit_code() -> None:
    code, text, _ = run("--help")
    assert code == 0
    assert all(flag in text for flag in ("--host", "--port", "--request-seconds", "--drain-seconds"))
    assert "0 after SIGTERM or SIGINT, 1 for a port" in " ".join(text.split())


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
        opened = [Path(file.path) for file in ui.measured.open_files() if file.mode not in ("r", "rb")]
        assert _files(WEB_UI) == before
    assert list(home.iterdir()) == []
    assert [path for path in opened if path != tmp_path / "ui.log" and path.parts[:2] != ("/", "tmp")] == []


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if stat.S_ISREG(path.lstat().st_mode)}


@pytest.mark.timed
def test_fault_65_a_server_that_hangs_costs_healthz_nothing(ui: Ui, behaviour: Behaviour) -> None:
    """More visitors than threads, so that others' requests wait in line; a probe does not stand in it."""
    behaviour.delay_s = 8.0
    with ThreadPoolExecutor(150) as visitors:
        pages = [visitors.submit(ui.get, "/", 20) for _ in range(150)]
        time.sleep(2.5)  # they have all asked, and wait
        took = [seconds(ui, path, said) for path, said in (("/healthz", "ok\n"), ("/readyz", "ready\n"))]
        statuses = Counter(page.result()[0] for page in pages)
    assert max(took) < 1.0  # Kubernetes' own time limit for a probe
    assert statuses == {504: limits.PREDICTIONS_AT_ONCE, 503: 150 - limits.PREDICTIONS_AT_ONCE}


def seconds(ui: Ui, path: str, said: str) -> float:
    """How long a probe waits for its answer, which is `said`."""
    began = time.monotonic()
    assert ui.get(path) == (200, said)
    return time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_0_and_frees_the_port(tmp_path: Path, number: signal.Signals) -> None:
    with running_ui(tmp_path / "ui.log") as ui:
        os.kill(ui.process.pid, number)
        assert ui.process.wait(15) == 0
        with socket.create_server(("127.0.0.1", ui.port)):
            pass
        assert "Traceback" not in ui.log.read_text()


def test_a_signal_during_the_start_ends_it_with_exit_0() -> None:
    for after_s in (0.15, 0.3, 0.45):
        command = [*WEBUI, f"--port={free_port()}"]
        process = subprocess.Popen(command, cwd=WEB_UI, env=environment(), stderr=subprocess.PIPE, text=True)
        time.sleep(after_s)
        process.terminate()
        said = process.communicate(timeout=15)[1]
        # Before Python has read our first line, the signal does what it does to any process.
        assert (process.returncode, said) in ((0, ""), (-signal.SIGTERM, ""))


def test_when_told_to_stop_it_is_not_ready_at_once_and_still_takes_connections_for_a_moment(tmp_path: Path) -> None:
    with running_ui(tmp_path / "ui.log", "--drain-seconds=1") as ui:
        os.kill(ui.process.pid, signal.SIGTERM)
        time.sleep(0.1)
        assert ui.get("/readyz") == (503, "stopping\n")
        assert ui.get("/healthz") == (200, "ok\n")
        time.sleep(0.5)
        assert ui.get("/healthz") == (200, "ok\n")
        assert ui.process.wait(5) == 0


def test_a_request_under_way_is_answered_before_it_ends(ui: Ui, behaviour: Behaviour) -> None:
    behaviour.delay_s = 2.0
    with ThreadPoolExecutor(40) as visitors:
        pages = [visitors.submit(ui.get, "/", 20) for _ in range(40)]
        wait_until(lambda: len(behaviour.requests) == 40, 10, lambda: "the requests did not arrive")
        os.kill(ui.process.pid, signal.SIGTERM)
        assert [page.result()[0] for page in pages] == [200] * 40
    assert ui.process.wait(5) == 0


@pytest.mark.timed
def test_a_client_that_never_ends_its_request_does_not_keep_it_up_for_more_than_ten_seconds(tmp_path: Path) -> None:
    with running_ui(tmp_path / "ui.log") as ui, socket.create_connection(("127.0.0.1", ui.port)) as slow:
        slow.sendall(b"GET / HT")
        time.sleep(0.3)
        began = time.monotonic()
        os.kill(ui.process.pid, signal.SIGTERM)
        assert ui.process.wait(15) == 0
        assert 5 < time.monotonic() - began < 12


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with running_ui(tmp_path / "ui.log") as ui, socket.create_connection(("127.0.0.1", ui.port)) as slow:
        slow.sendall(b"GET / HT")
        time.sleep(0.3)
        os.kill(ui.process.pid, signal.SIGTERM)
        time.sleep(0.5)
        os.kill(ui.process.pid, signal.SIGTERM)
        assert ui.process.wait(2) == 0


def test_sigterm_while_clients_ask_without_a_pause_loses_no_request(
    tmp_path: Path, base: Path, model_port: int
) -> None:
    """The clients do what a Service does: they stay away once it is not ready, and connect anew where told to."""
    variables = {"MODEL_SERVER_ADDRESS": "127.0.0.1", "MODEL_SERVER_PORT": model_port, "MODEL_BASE_PATH": base}
    with running_ui(tmp_path / "ui.log", "--drain-seconds=1", **variables) as ui:
        seen = [Counter[int]() for _ in range(12)]
        with ThreadPoolExecutor(len(seen)) as pool:
            clients = [pool.submit(ask_until_not_ready, ui, statuses) for statuses in seen]
            while sum(seen, Counter()).total() < 100 and not any(one.done() for one in clients):
                time.sleep(0.05)
            os.kill(ui.process.pid, signal.SIGTERM)
        for one in clients:
            one.result()  # a request that was lost has raised there
        assert ui.process.wait(15) == 0
    answers = sum(seen, Counter())
    assert set(answers) == {200}
    assert answers[200] > 50


def ask_until_not_ready(ui: Ui, statuses: Counter[int]) -> None:
    """Ask for pages on one kept connection, and /readyz between them; count the statuses of the pages."""
    connection = http.client.HTTPConnection("127.0.0.1", ui.port, timeout=20)
    while True:
        connection.request("GET", "/")
        page = connection.getresponse()
        page.read()
        statuses[page.status] += 1
        connection.request("GET", "/readyz")
        ready = connection.getresponse()
        ready.read()
        if ready.status == 503:
            connection.close()
            return
