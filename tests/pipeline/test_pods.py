"""A container as a process: its program, its folders, and what a process cannot have."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.clusters import pods
from pipeline.clusters.objects import Objects
from pipeline.errors import PipelineError
from pipeline.settings import ROOT


def pod(volumes: list[dict[str, Any]] | None = None, **container: Any) -> dict[str, Any]:
    return {
        "containers": [{"name": "x", "image": "r/x:1", "command": ["python"], **container}],
        "volumes": volumes or [],
    }


def made(described: dict[str, Any], home: Path) -> pods.Process:
    return pods.process(described, "x", home, Objects(home / "objects"))


def test_python_is_this_interpreter_and_other_programs_are_those_beside_it(tmp_path: Path) -> None:
    assert made(pod(), tmp_path).argv == (sys.executable,)
    assert made(pod(command=["invoke"]), tmp_path).argv == (str(Path(sys.executable).parent / "invoke"),)


def test_tensorflow_model_server_is_the_embedded_one_where_the_machine_has_none(tmp_path: Path) -> None:
    argv = made(pod(command=["/usr/bin/tensorflow_model_server"], args=["--port=1"]), tmp_path).argv
    assert argv == (sys.executable, "-m", "serving", "--share_ports", "--port=1")


def test_our_images_run_in_their_folders(tmp_path: Path) -> None:
    assert made(pod(image="r/p/web-ui:abc"), tmp_path).cwd == str(ROOT / "web-ui")
    assert made(pod(image="r/p/train:abc"), tmp_path).cwd == str(ROOT)


def test_a_configmap_is_written_and_named_in_the_arguments(tmp_path: Path) -> None:
    Objects(tmp_path / "objects").put({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a.txt": "hello"}})
    mounts = {
        "volumeMounts": [{"name": "v", "mountPath": "/etc/c"}],
        "args": ["--file=/etc/c/a.txt", "/etc/cc", "x/etc/c"],
    }
    process = made(pod([{"name": "v", "configMap": {"name": "c"}}], **mounts), tmp_path)
    file = process.argv[1].removeprefix("--file=")
    assert Path(file).read_text() == "hello"
    assert process.argv[2:] == ("/etc/cc", "x/etc/c")


def test_an_empty_folder_at_tmp_is_the_process_tmpdir(tmp_path: Path) -> None:
    process = made(pod([{"name": "t", "emptyDir": {}}], volumeMounts=[{"name": "t", "mountPath": "/tmp"}]), tmp_path)  # noqa: S108
    assert Path(process.env["TMPDIR"]).is_dir()


@pytest.mark.parametrize(
    ("described", "words"),
    [
        (
            pod([{"name": "v", "hostPath": {"path": "/"}}], volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            "no volumes of kind hostPath",
        ),
        (pod(volumeMounts=[{"name": "v", "mountPath": "/v"}]), "names volume v, which is not declared"),
        (
            pod([{"name": "v", "configMap": {"name": "c"}}], volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            "ConfigMap c is not there",
        ),
        (pod(env=[{"name": "A", "valueFrom": {}}]), "variable A has valueFrom"),
        ({"containers": [{}, {}]}, "pods of one container, not 2"),
    ],
)
def test_what_a_process_cannot_have_is_one_sentence(described: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=words):
        made(described, tmp_path)


def test_who_holds_a_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "(process " in str(pods.holder(port))
    assert pods.holder(port) is None
