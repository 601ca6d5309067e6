"""`invoke bench serve`: what the load generator asks, checks and measures, who takes part, and what the tables say."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from conftest import ROOT, Checkout
from pipeline import manifests
from pipeline.bench import figures, load, servers, serving, table, verdicts
from pipeline.bench import model as benched
from pipeline.bench.model import Model
from pipeline.bench.plans import Load, Phase, Plan
from pipeline.bench.wire import WAYS, questions
from pipeline.client import messages
from pipeline.config import load as load_settings
from pipeline.errors import RunFailed
from pipeline.processes import free_port

DIGITS = [7, 2, 1, 0]

JSON_SERVER = """
    import http.server, json, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version, asked = "HTTP/1.1", 0
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            Handler.asked += 1
            code, answer = answered(body, Handler.asked)
            answer = json.dumps(answer).encode()
            self.send_response(code); self.send_header("Content-Length", str(len(answer))); self.end_headers()
            self.wfile.write(answer)
        def log_message(self, *_): pass
    def seen(body):
        pixels = body["instances"][0]
        return [float(place == round(pixels[0] * 255)) for place in range(10)]
    {answered}
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""It sees the digit that stands in an image's first pixel; `answered` says what it makes of that."""

RIGHT = "answered = lambda body, number: (200, {'predictions': [seen(body)]})"


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """Four images, each with its digit for a first pixel."""
    images = np.zeros((len(DIGITS), 784), np.uint8)
    images[:, 0], images[:, 1] = DIGITS, 200
    path = tmp_path / "served.npz"
    np.savez(path, images=images, predictions=np.eye(10, dtype=np.float32)[DIGITS])
    return path


@pytest.fixture
def measured(tmp_path: Path, served: Path) -> Callable[..., Load]:
    """What the load generator says of a program that gets a port for its last argument."""

    def run(way: str, *argv: str, phases: tuple[tuple[int, float], ...] = ((1, 0.1), (8, 0.2))) -> Load:
        port = free_port()
        plan = Plan(
            (sys.executable, *argv, str(port)), str(ROOT), str(tmp_path / "log"), way, port, str(served), phases
        )
        return asyncio.run(load.loaded(plan))

    return run


def script(answered: str) -> tuple[str, str]:
    return "-c", textwrap.dedent(JSON_SERVER).format(answered=answered)


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]


def test_the_echo_is_measured_from_its_start_with_every_number_of_clients_and_then_ended(
    measured: Callable[..., Load],
) -> None:
    before = children()
    found = measured("echo", str(servers.SCRIPTS / "echo_server.py"))
    assert [one.clients for one in found.phases] == [1, 8]
    assert 0.05 < found.cold_s < 30
    assert 20 < found.mb < 200
    for one in found.phases:
        assert one.rate > 20
        assert 0 < one.p50_ms <= one.p99_ms
        assert 0 < one.driver_cpu_ms < 50
    assert sum(one.server_cpu_ms for one in found.phases) > 0
    assert children() == before


def test_the_first_answer_is_waited_for_while_a_server_says_that_it_is_not_ready(measured: Callable[..., Load]) -> None:
    late = (
        "import time; began = time.monotonic()\n"
        "def answered(body, number):\n"
        "    ready = time.monotonic() > began + 1\n"
        "    return (200, {'predictions': [seen(body)]}) if ready else (503, 'wait')"
    )
    assert measured("v1", *script(late)).cold_s > 1


def test_processor_time_of_a_servers_own_children_counts(measured: Callable[..., Load]) -> None:
    idle = measured("v1", *script(RIGHT))
    work = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'while True: pass'])\n" + RIGHT
    busy = measured("v1", *script(work))
    assert busy.at(1).server_cpu_ms > idle.at(1).server_cpu_ms + 0.2
    assert not [one for one in children() if "while True: pass" in one.cmdline()]


@pytest.mark.parametrize(
    ("answered", "sentence"),
    [
        ("answered = lambda body, number: (200, {'predictions': [[1.0] + 9 * [0.0]]})", "saw 0 where 7 would be right"),
        (
            "answered = lambda body, number: (200, {'predictions': [seen(body) if number < 9 else [0.0, 1.0]]})",
            r"saw 1 where \d would be right",
        ),
        (
            "answered = lambda body, number: (200, {'predictions': [seen(body)]}) if number < 9 else (500, 'tired')",
            'no answer: 500, "tired"; its last words: ',
        ),
        ("answered = lambda body, number: (200, {'classes': 7})", "its answer cannot be read: b'{\"classes\": 7}'"),
        ("raise SystemExit('no such model')", "the server ended with 1; its last words: no such model"),
    ],
)
def test_a_server_that_answers_wrong_or_not_at_all_is_not_measured(
    measured: Callable[..., Load], answered: str, sentence: str
) -> None:
    before = children()  # a server that tests of this process lend one another may be there
    with pytest.raises(RunFailed, match=sentence):
        measured("v1", *script(answered))
    assert children() == before


def test_a_server_that_never_listens_is_given_up(
    measured: Callable[..., Load], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "PATIENCE", 0.3)
    with pytest.raises(RunFailed, match=r"no answer within 0\.3 s \(nobody listens\)"):
        measured("v1", "-c", "import time; time.sleep(60)")


def test_a_request_is_a_predict_request_with_one_image(served: Path) -> None:
    request, _ = messages()
    sent = request.FromString(questions(WAYS["grpc"], served)[1].body)
    assert (sent.model_spec.name, sent.model_spec.signature_name) == ("mnist", "serving_default")
    tensor = sent.inputs["x"]
    assert [dim.size for dim in tensor.tensor_shape.dim] == [1, 784]
    pixels = np.frombuffer(tensor.tensor_content, np.float32)
    assert pixels[:3].tolist() == [np.float32(2 / 255), np.float32(200 / 255), 0]


def test_the_images_are_the_same_to_the_bit_over_grpc_and_in_json(served: Path) -> None:
    request, _ = messages()
    binary = request.FromString(questions(WAYS["grpc"], served)[0].body).inputs["x"].tensor_content
    instances = json.loads(questions(WAYS["v1"], served)[0].body)["instances"][0]
    inputs = json.loads(questions(WAYS["v2"], served)[0].body)["inputs"][0]
    assert np.array(instances, np.float32).tobytes() == binary
    assert np.array(inputs["data"], np.float32).tobytes() == binary


@pytest.mark.parametrize(
    ("way", "answer"),
    [
        ("v1", {"predictions": [[0, 0, 1]]}),
        ("predict", {"predictions": [[0.1, 0.2, 0.7]]}),
        ("v2", {"outputs": [{"name": "predictions", "data": [0.1, 0.2, 0.7]}]}),
        ("rest", {"predictions": [{"classes": 2, "predictions": [0.1, 0.2, 0.7]}]}),
    ],
)
def test_the_digit_is_found_in_every_form_of_answer(way: str, answer: object) -> None:
    assert WAYS[way].seen(json.dumps(answer).encode()) == 2


@pytest.mark.parametrize("packed", [False, True])
def test_the_digit_is_found_in_a_predict_response(packed: bool) -> None:
    _, response = messages()
    answer = response()
    classes = answer.outputs["classes"]
    if packed:
        classes.tensor_content = np.array([5], np.int64).tobytes()
    else:
        classes.int64_val.append(5)
    assert WAYS["grpc"].seen(answer.SerializeToString()) == 5


@pytest.mark.parametrize("peer", [*servers.PEERS, None], ids=lambda one: one.name if one else "converter")
def test_what_a_peer_needs_is_pinned_with_all_that_it_pulls_in(peer: servers.Server | None) -> None:
    needed, path = (peer.requirements, peer.constraints) if peer else (benched.NEEDED, servers.SCRIPTS / "onnx.txt")
    pins = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert set(needed) <= set(pins)
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A version with a LiteRT copy; nobody loads it."""
    made = Model(tmp_path / "model")
    (made.version / "assets.extra").mkdir(parents=True)
    for name in (*benched.COPY, "saved_model.pb"):
        (made.version / name).write_text(name)
    files = {name: {"sha256": "0" * 64, "size": 1} for name in (*benched.COPY, "saved_model.pb")}
    (made.version / "checksums.json").write_text(json.dumps({"files": files}))
    return made


def test_ours_is_the_embedded_server_with_the_flags_of_the_environments_deployment(
    tmp_path: Path, model: Model
) -> None:
    settings = load_settings("local", []).settings
    made = servers.started(settings, "grpc")(model, tmp_path, 4321, sys.executable)
    assert made.argv[:4] == (sys.executable, "-m", "serving", "--share_ports")
    deployment = next(one for one in manifests.render(settings, "serving", "100") if one["kind"] == "Deployment")
    flags = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert [flag.partition("=")[0] for flag in made.argv[4:]] == [flag.partition("=")[0] for flag in flags]
    assert "--port=4321" in made.argv


def test_over_rest_the_rest_port_is_the_one_that_is_asked(tmp_path: Path, model: Model) -> None:
    made = servers.started(load_settings("local", []).settings, "rest")(model, tmp_path, 4321, sys.executable)
    assert "--rest_api_port=4321" in made.argv
    assert "--port=4321" not in made.argv


def test_the_plain_version_lacks_the_litert_copy_and_its_checksums_know_that(model: Model) -> None:
    plain = model.plain()
    assert (model.has_copy, plain.has_copy) == (True, False)
    left = [path.relative_to(plain.version).as_posix() for path in plain.version.rglob("*") if path.is_file()]
    assert sorted(left) == ["checksums.json", "saved_model.pb"]
    assert list(json.loads((plain.version / "checksums.json").read_text())["files"]) == ["saved_model.pb"]


def test_a_quick_run_takes_what_needs_no_installation() -> None:
    settings = load_settings("local", []).settings
    assert [one.name for one in servers.entered(settings, quick=True)] == [servers.ECHO, servers.OURS]
    everybody = [one.name for one in servers.entered(settings, quick=False) if one.name != servers.REAL]
    assert everybody[:4] == [servers.ECHO, servers.OURS, servers.TENSORFLOW, servers.REST]
    assert everybody[4:] == [one.name for one in servers.PEERS]


def ran(rate: float, cold: float = 1.0, ms: float = 2.0) -> Load:
    phases = [Phase(clients, rate * clients, ms, 2 * ms, ms / 4, 0.2) for clients in figures.CLIENTS]
    return Load(cold, phases, 100.4, 0.1)


def rows(ours: float, peer: float, ours_cold: float = 0.5) -> list[figures.Row]:
    own = ran(ours, ours_cold, 1)
    made = [figures.row(name, "gRPC", [one]) for name, one in ((servers.ECHO, ran(100)), (servers.OURS, own))]
    others = [(servers.REST, own), *((one.name, ran(peer)) for one in servers.PEERS)]
    return [*made, *(figures.row(name, "JSON", [one]) for name, one in others)]


def test_a_row_has_the_medians_of_its_runs() -> None:
    assert figures.row("ours", "gRPC", [ran(10), ran(20, 3.0), ran(90)]) == figures.Row(
        "ours", "gRPC", "3", "1.00", "2.00", "4.00", "20", "160", "640", "100", "0.50", "0.20"
    )


def test_a_table_of_servers_is_read_back_as_it_was_written() -> None:
    made = [*rows(80, 20), figures.row("KServe", "JSON", [], "no a | b\nc")]
    assert figures.parsed(table.markdown(figures.cells(made), words=2)) == made
    assert made[-1].server == "KServe, not measured: no a / b c"


def test_what_is_reached_is_told_for_each_thing_asked() -> None:
    found = {what: (measured, holds) for what, measured, holds in verdicts.verdicts(rows(75, 25))}
    assert found["answers/s ≥ 0.7 × echo, 32 clients"] == ("0.75", "yes")
    assert found["answers/s ≥ 3 × BentoML, 8, 32 clients"] == ("3.00 and 3.00", "yes")
    assert found["cold start s < any of these peers"] == ("0.50, the best of them 1.00 (KServe)", "yes")
    assert {holds for _, holds in found.values()} == {"yes", "**no**"}, "ours has as many MB as they have"


def test_like_is_compared_with_like() -> None:
    made = [*rows(75, 25)]
    made[2] = figures.row(servers.REST, "JSON", [ran(50)])
    found = {what: measured for what, measured, _ in verdicts.verdicts(made)}
    assert found["answers/s ≥ 0.7 × echo, 32 clients"] == "0.75", "both over gRPC"
    assert found["answers/s ≥ 3 × BentoML, 8, 32 clients"] == "2.00 and 2.00", "both in JSON"


@pytest.mark.parametrize(
    ("figures_", "what"),
    [
        (rows(69, 20), "answers/s ≥ 0.7 × echo, 32 clients"),
        (rows(80, 45), "answers/s ≥ 1.8 × KServe, 8, 32 clients"),
        (rows(80, 20, ours_cold=1.0), "cold start s < any of these peers"),
    ],
)
def test_what_is_not_reached_is_told_too(figures_: list[figures.Row], what: str) -> None:
    assert {name: holds for name, _, holds in verdicts.verdicts(figures_)}[what] == "**no**"


def test_a_peer_that_was_not_measured_decides_nothing() -> None:
    missing = [*rows(80, 20)[:3], figures.row("KServe", "JSON", [], "no network")]
    told = verdicts.verdicts(missing)
    assert [holds for _, _, holds in told] == ["yes", *["not measured"] * (len(told) - 1)]


def installed(folder: Path, name: str, needed: tuple[str, ...]) -> None:
    """An environment that counts as made, and has only what this one has: no ONNX."""
    (folder / name / "bin").mkdir(parents=True)
    (folder / name / "bin" / "python").symlink_to(sys.executable)
    (folder / name / "installed").write_text("\n".join(needed))


def test_without_an_onnx_file_every_peer_has_a_row_that_says_why(tmp_path: Path, model: Model) -> None:
    for one in servers.PEERS:
        installed(tmp_path, one.environment, one.requirements)
    installed(tmp_path, benched.CONVERTER, benched.NEEDED)
    turns = serving.Servings(servers.PEERS, tmp_path, model=model, seconds=1)
    turns.furnish()
    for one in turns.contestants:
        turns.take(one)
    assert [row.runs for row in turns.rows()] == ["0"] * len(servers.PEERS)
    assert all("not measured: no ONNX file: ModuleNotFoundError" in row.server for row in turns.rows())


@pytest.mark.slow
def test_a_quick_benchmark_of_servers_trains_serves_and_measures(checkout: Checkout) -> None:
    said = checkout.invoke("bench", "serve", "--quick")
    printed = said[said.rindex("\nserver ") :].splitlines()[2:4]
    assert [re.split("  +", line)[0] for line in printed] == [servers.ECHO, servers.OURS]
    assert all(float(cell) > 0 for line in printed for cell in re.split("  +", line)[3:])
    assert "these figures mean nothing" in said
    assert [path.name for path in (checkout.root / "build").iterdir()] == ["bench"]
    assert [path.name for path in (checkout.root / "build" / "bench").iterdir()] == ["keras"]
