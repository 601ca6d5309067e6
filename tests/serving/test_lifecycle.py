"""Real processes while versions come, go and break, and while the server itself is stopped or killed."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2

from .conftest import REPO, Server, expected, free_ports, running, write_checksums

Publish = Callable[[Path, int], Path]
IMAGE = np.random.default_rng(3).random((1, 784), np.float32)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server whose folder these tests fill, each with higher versions than the one before."""
    base = tmp_path_factory.mktemp("live")
    arguments = ("--model_name=mnist", f"--model_base_path={base}", "--enable_grpc_healthcheck_service=true")
    with running(tmp_path_factory.mktemp("live-log"), *arguments) as server:
        server.base = base
        yield server


def health_of(server: Server) -> int:
    return health_pb2_grpc.HealthStub(server.channel).Check(health_pb2.HealthCheckRequest(), timeout=20).status


def states(server: Server) -> dict[int, str]:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "mnist"
    found = server.model_service.GetModelStatus(request, timeout=20).model_version_status
    return {one.version: one.State.Name(one.state) for one in found}


def test_an_empty_folder_is_waited_for(live: Server, publish: Publish) -> None:
    live.wait_for_log("no version to serve in")
    assert health_of(live) == health_pb2.HealthCheckResponse.NOT_SERVING
    with pytest.raises(grpc.RpcError) as caught:
        live.predict(IMAGE)
    assert caught.value.details() == "Servable not found for request: Latest(mnist)"
    publish(live.base, 1)
    live.wait_for_version(1)
    live.wait(lambda: health_of(live) == health_pb2.HealthCheckResponse.SERVING, seconds=5)
    assert live.log().count("no version to serve in") == 1


def test_fault_34_a_half_copied_export_is_never_served(live: Server, publish: Publish, exported: Path) -> None:
    half = live.base / "10"
    (half / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index"):
        shutil.copy(exported / name, half / name)
    live.wait_for_log("version 10 refused: checksums.json is not there")
    shutil.copy(exported / "checksums.json", half)
    live.wait_for_log("version 10 refused: ")
    time.sleep(2.5)  # two more looks
    assert live.predict(IMAGE).model_spec.version.value == 1
    assert live.log().count("checksums.json is not there") == 1
    shutil.copytree(exported, half, dirs_exist_ok=True)
    live.wait_for_version(10)


def test_a_version_still_being_written_is_ignored(live: Server, publish: Publish) -> None:
    publish(live.base, 12).rename(live.base / "13.partial-4711")
    time.sleep(2.5)
    assert max(states(live)) < 13
    assert "partial" not in live.log()


def test_fault_58_a_flipped_bit_is_refused_and_the_old_version_goes_on(live: Server, publish: Publish) -> None:
    before = live.predict(IMAGE).model_spec.version.value
    broken = publish(live.base, 20).rename(live.base / "20.partial-2")
    graph = bytearray((broken / "saved_model.pb").read_bytes())
    graph[len(graph) // 2] ^= 1
    (broken / "saved_model.pb").write_bytes(graph)
    broken.rename(live.base / "21")
    live.wait_for_log("version 21 refused: saved_model.pb has another sha256 than checksums.json says")
    assert live.predict(IMAGE).model_spec.version.value in (before, 20)


def test_fault_58_a_graph_that_does_not_load_is_refused_though_its_checksums_hold(
    live: Server, publish: Publish
) -> None:
    broken = publish(live.base, 22).rename(live.base / "22.partial-2")
    (broken / "saved_model.pb").write_bytes((broken / "saved_model.pb").read_bytes()[:1000])
    write_checksums(broken)
    broken.rename(live.base / "23")
    live.wait_for_log("version 23 refused: saved_model.pb is no SavedModel")
    assert states(live)[23] == "END"
    np.testing.assert_allclose(
        live.predict(IMAGE).outputs["predictions"].float_val, expected(IMAGE)[0], rtol=1e-4, atol=1e-6
    )


def test_fault_58_corrupt_partial_alien_and_huge_versions_are_refused_while_the_old_one_answers(
    live: Server, publish: Publish
) -> None:
    before = version_of(live)

    def put(version: int, damage: Callable[[Path], object]) -> None:
        folder = publish(live.base, version).rename(live.base / f"{version}.partial-2")
        damage(folder)
        folder.rename(live.base / str(version))

    put(24, lambda folder: (folder / "saved_model.pb").write_bytes(b"corrupt"))
    put(25, lambda folder: shutil.rmtree(folder / "variables"))
    put(26, lambda folder: (folder / "saved_model.pb").rename(folder / "model.onnx"))
    put(27, lambda folder: os.truncate(folder / "saved_model.pb", 300 << 20))
    put(28, lambda folder: os.truncate(folder / "variables/variables.data-00000-of-00001", 3 << 30))
    live.wait_for_log("version 24 refused: saved_model.pb has 7 bytes where checksums.json says ")
    live.wait_for_log("version 25 refused: variables/variables.")
    live.wait_for_log("version 26 refused: saved_model.pb is not there")
    live.wait_for_log("version 27 refused: saved_model.pb has 314572800 bytes, more than the 268435456 that are taken")
    live.wait_for_log("version 28 refused: its files have 3221")
    assert version_of(live) == before


def test_fault_59_a_swap_under_load_loses_no_request_and_never_goes_back(live: Server, publish: Publish) -> None:
    done = threading.Event()

    def client() -> list[int]:
        seen = []
        while not done.is_set():
            seen.append(live.predict(IMAGE).model_spec.version.value)
        return seen

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(client) for _ in range(4)]
        try:
            for version in (31, 32, 33):
                publish(live.base, version)
                live.wait_for_version(version)
        finally:
            done.set()
        answers = [one.result() for one in clients]
    for seen in answers:
        assert seen == sorted(seen)
        assert {31, 32} <= set(seen)
    live.wait(lambda: states(live)[32] == "END", seconds=5)
    assert [version for version, state in states(live).items() if state == "AVAILABLE"] == [33]


def test_a_removed_newest_version_gives_way_to_the_one_before(live: Server, publish: Publish) -> None:
    newest = live.predict(IMAGE).model_spec.version.value
    publish(live.base, newest + 5)
    live.wait_for_version(newest + 5)
    shutil.rmtree(live.base / str(newest + 5))
    live.wait_for_version(newest)


def test_the_last_version_goes_on_when_the_folder_is_emptied(live: Server) -> None:
    serving = live.predict(IMAGE).model_spec.version.value
    for folder in live.base.iterdir():
        shutil.rmtree(folder)
    live.wait_for_log(f"{serving} goes on")
    time.sleep(1.5)
    assert live.predict(IMAGE).model_spec.version.value == serving


def test_a_killed_server_serves_again_after_a_restart(tmp_path: Path, publish: Publish) -> None:
    publish(tmp_path, 5)
    with running(tmp_path / "log", "--model_name=mnist", f"--model_base_path={tmp_path}") as server:
        server.wait_for_version(5)
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        server.start().wait_for_version(5)
        check_that_sigterm_drains(server)


def check_that_sigterm_drains(server: Server) -> None:
    """A request that takes about a second is running when SIGTERM comes: it is answered, later ones are not."""
    connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=30)
    with contextlib.closing(connection):
        body = '{"instances": [' + ",".join(["[" + ",".join(["0.5"] * 784) + "]"] * 4000) + "]}"
        connection.request("POST", "/v1/models/mnist:predict", body)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for_log("stopping")
        with pytest.raises(grpc.RpcError) as caught:
            while True:  # what was on its way when the line was written may be answered
                server.predict(IMAGE)
        # CANCELLED is what gRPC says to a call that comes in while its server closes the connection.
        assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        response = connection.getresponse()
        assert (response.status, len(json.load(response)["predictions"])) == (200, 4000)
    assert server.process.wait(30) == os.EX_OK
    assert server.log().splitlines()[-1].endswith("stopped")


def test_sigterm_turns_readiness_off_before_anything_is_refused(tmp_path: Path, publish: Publish) -> None:
    publish(tmp_path, 5)
    arguments = ("--model_name=mnist", f"--model_base_path={tmp_path}", "--enable_grpc_healthcheck_service")
    with running(tmp_path / "log", *arguments) as server:
        server.wait_for_version(5)
        server.process.send_signal(signal.SIGTERM)
        seen = []
        with contextlib.suppress(grpc.RpcError):
            while True:
                seen.append((health_of(server), version_of(server)))
        assert seen[-1] == (health_pb2.HealthCheckResponse.NOT_SERVING, 5)
        assert server.process.wait(30) == os.EX_OK


class ConfigFile:
    """A models.config that tests write anew, as a mounted ConfigMap changes."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.path, self.base = folder / "models.config", base

    def write(self, *versions: int, **labels: int) -> None:
        lines = [f'version_labels {{ key: "{key}" value: {value} }}' for key, value in labels.items()]
        specific = " ".join(f"versions: {version}" for version in versions)
        new = self.path.with_suffix(".new")
        new.write_text(
            f"""model_config_list {{ config {{
              name: "mnist" base_path: "{self.base}" model_platform: "tensorflow"
              model_version_policy {{ specific {{ {specific} }} }} {" ".join(lines)} }} }}"""
        )
        new.rename(self.path)


@pytest.fixture
def config(tmp_path: Path, publish: Publish) -> ConfigFile:
    """Three versions, and a file that says which of them."""
    base = tmp_path / "base"
    base.mkdir()
    for version in (1, 2, 3):
        publish(base, version)
    return ConfigFile(tmp_path, base)


def version_of(server: Server, label: str = "") -> int:
    return server.predict(IMAGE, label=label).model_spec.version.value


EARLY = "--allow_version_labels_for_unavailable_models"


def test_fault_60_a_config_file_moves_versions_and_labels_while_the_server_runs(
    config: ConfigFile, tmp_path: Path
) -> None:
    config.write(1, 2, stable=1, canary=2)
    arguments = (f"--model_config_file={config.path}", "--model_config_file_poll_wait_seconds=1", EARLY)
    with running(tmp_path / "log", *arguments) as server:
        server.wait_for_version(2)
        assert (version_of(server, "stable"), version_of(server, "canary")) == (1, 2)
        assert server.http("/v1/models/mnist/labels/canary:predict", {"instances": IMAGE.tolist()})[0] == 200
        config.write(1, 2, 3, stable=3)
        server.wait_for_log("Request to assign label to version 3 of model mnist, which is not currently available")
        assert (version_of(server, "stable"), version_of(server)) == (1, 2)  # nothing of it was done
        config.write(1, 2, 3, stable=1)
        server.wait_for_version(3)
        config.write(1, 2, 3, stable=3)
        server.wait(lambda: version_of(server, "stable") == 3)
        config.write(1, 2, stable=1)  # back again: the label first, then the bad version goes
        server.wait(lambda: (version_of(server, "stable"), version_of(server)) == (1, 2))
        config.path.write_text("model_config_list {")
        server.wait_for_log("is not a ModelServerConfig in protobuf's text form")
        assert version_of(server) == 2
        assert server.stop(signal.SIGINT) == os.EX_OK


def test_a_reload_request_gives_versions_and_labels_and_a_label_too_early_changes_nothing(
    config: ConfigFile, tmp_path: Path
) -> None:
    config.write(1, 2, stable=1)
    with running(tmp_path / "log", f"--model_config_file={config.path}", EARLY) as server:
        server.wait_for_version(2)
        request = model_management_pb2.ReloadConfigRequest()
        one = request.config.model_config_list.config.add(name="mnist", base_path=str(config.base))
        one.model_version_policy.specific.versions.extend([2, 3])
        server.model_service.HandleReloadConfigRequest(request, timeout=20)
        one.version_labels["stable"] = 3
        server.model_service.HandleReloadConfigRequest(request, timeout=20)
        assert version_of(server, "stable") == 3
        one.version_labels["stable"] = 1
        one.model_version_policy.specific.versions.append(1)
        with pytest.raises(grpc.RpcError) as caught:
            server.model_service.HandleReloadConfigRequest(request, timeout=20)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details() == (
            "Request to assign label to version 1 of model mnist, which is not currently available for inference"
        )
        assert version_of(server, "stable") == 3
        assert states(server)[1] == "END"


def test_labels_at_the_start_need_the_flag_as_tensorflow_model_servers_do(config: ConfigFile) -> None:
    config.write(1, stable=1)
    argv = [sys.executable, "-m", "serving", f"--port={free_ports(1)[0]}", f"--model_config_file={config.path}"]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.splitlines()[1:]) == (
        2,
        [
            f"serving: {config.path}: Request to assign label to version 1 of model mnist, which is not currently "
            f"available for inference; with {EARLY} it waits for its version."
        ],
    )


@pytest.mark.parametrize("flag", ["--port", "--rest_api_port"])
def test_a_taken_port_is_named_and_the_exit_code_is_1(server: Server, tmp_path: Path, flag: str) -> None:
    free = free_ports(2)
    taken = {"--port": server.port, "--rest_api_port": server.rest_port}[flag]
    ports = {"--port": free[0], "--rest_api_port": free[1], flag: taken}
    argv = [sys.executable, "-m", "serving", f"--model_base_path={tmp_path}"]
    argv += [f"{name}={port}" for name, port in ports.items()]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        f"serving: Port {taken} ({flag}) on 127.0.0.1 cannot be opened: Address already in use."
    ]


def test_a_config_file_that_is_none_is_named_and_the_exit_code_is_2(tmp_path: Path) -> None:
    config = tmp_path / "models"
    config.write_text("model_config_list { config { nme: 'mnist' } }")
    argv = [sys.executable, "-m", "serving", f"--port={free_ports(1)[0]}", f"--model_config_file={config}"]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 2
    assert f"{config}: is not a ModelServerConfig in protobuf's text form: 1:" in done.stderr
