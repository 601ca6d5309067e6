"""What the manifest's probe asks is answered as Kubernetes takes it: ready where a version can answer, only there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import manifests
from pipeline.config import load

from .conftest import running


def probe(name: str) -> dict[str, Any]:
    """A probe of the model server's container."""
    (template,) = manifests.pod_templates(manifests.render(load("staging").settings, "serving", "1")[1])
    return dict(template["spec"]["containers"][0][name])


def test_a_server_is_ready_once_a_version_can_answer(tmp_path: Path, publish: Callable[[Path, int], Path]) -> None:
    base, place = tmp_path / "base", probe("readinessProbe")["httpGet"]["path"]
    base.mkdir()
    (publish(base, 1) / "saved_model.pb").write_bytes(b"no graph")
    arguments = ("--model_name=mnist", f"--model_base_path={base}", "--file_system_poll_wait_seconds=1")
    assert probe("startupProbe")["httpGet"]["path"] == place
    with running(tmp_path / "log", *arguments) as server:
        server.wait(lambda: server.http("/v1/models/mnist"))
        assert server.http(place)[0] == 404
        publish(base, 2)
        server.wait(lambda: server.http(place)[0] == 200)
