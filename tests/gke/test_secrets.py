"""Secrets reach what needs them and nothing else: no output, argument, rendered file, image or traceback."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud import Cloud
from fakes.google.iam import CANARY
from pipeline import images
from pipeline.processes import marked
from tests.gke.flows import Flow, flowing

KEY_SECRET = ("identity=key-secret",)
TOKEN = "fake-token-"  # how the fakes' tokens begin
ACCOUNT = "mnist-staging-user@demo-project-1.iam.gserviceaccount.com"


def listening(cloud: Cloud, after: str = "") -> Path:
    """Put a program before each tool that writes down its arguments, and does something `after` gcloud."""
    log = cloud.world.bin / "argv.log"
    for name in ("gcloud", "kubectl", "docker"):
        shutil.move(cloud.world.bin / name, cloud.world.bin / f"{name}-itself")
        text = f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >> {log}\n{cloud.world.bin}/{name}-itself "$@"\ncode=$?\n'
        program = cloud.world.bin / name
        program.write_text(f"{text}{after if name == 'gcloud' else ''}\nexit $code\n")
        program.chmod(0o755)
    return log


@pytest.fixture(scope="module")
def flow(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Flow]:
    """Everything that people run with a key in play, and a deploy that fails while the key is on this machine."""
    with flowing(tmp_path_factory.mktemp("secrets") / "cloud", version, *KEY_SECRET) as made:
        listening(made.cloud)
        for words in (("--dry", "all"), ("plan",), ("doctor",)):
            made.run(" ".join(words), *words)
        refused = made.cloud.state.fault(r"PATCH kubernetes\S+/secrets/user-gcp-sa", status=403, message="no")
        made.run("refused", "deploy")
        assert refused.times == 0
        for words in (("all",), ("all", "again"), ("status",), ("logs", "train"), ("models",), ("predict",)):
            made.run(" ".join(words), *[word for word in words if word != "again"])
        yield made
        assert not made.cloud.state.unknown


def test_the_key_is_in_play_at_all(flow: Flow) -> None:
    (cluster,) = flow.cloud.world.clusters.values()
    assert CANARY in str(flow.cloud.state.of("iam.keys")) or flow.cloud.state.of("iam.keys")[ACCOUNT]
    assert any("user-gcp-sa" in name for name in cluster.objects)
    assert flow["refused"].code == 1
    assert flow["all"].code == 0


def test_fault_80_no_run_prints_a_key_or_a_token(flow: Flow) -> None:
    for name, run in flow.runs.items():
        assert CANARY not in run.said, name
        assert TOKEN not in run.said, name
        assert "Traceback" not in run.said, name


def test_fault_80_no_argument_of_any_tool_is_a_key_or_a_token(flow: Flow) -> None:
    said = (flow.cloud.world.bin / "argv.log").read_text()
    assert "keys create" in said
    assert CANARY not in said
    assert TOKEN not in said
    assert "PRIVATE KEY" not in said


def test_fault_80_no_file_that_is_left_holds_the_key_and_no_manifest_a_token(flow: Flow) -> None:
    build = flow.cloud.checkout.root / "build" / "staging"
    files = [
        path for path in build.rglob("*") if path.is_file() and not path.is_symlink() and "gcloud" not in path.parts
    ]
    assert files
    for path in files:
        assert CANARY.encode() not in path.read_bytes(), path
        assert path.suffix not in (".yaml", ".json") or TOKEN.encode() not in path.read_bytes(), path


def test_fault_80_the_private_files_are_for_their_owner_alone(flow: Flow) -> None:
    build = flow.cloud.checkout.root / "build" / "staging"
    for name in ("kubeconfig", "docker/config.json"):
        assert stat.S_IMODE((build / name).stat().st_mode) == 0o600, name


def test_fault_80_no_image_is_built_from_a_folder_with_a_key(flow: Flow) -> None:
    assert [build["tags"] for build in flow.cloud.world.docker.builds]
    for image in images.IMAGES.values():
        for path in (flow.cloud.checkout.root / image.context).rglob("*"):
            assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


def test_the_key_is_gone_from_this_machine_after_success_and_after_failure(flow: Flow) -> None:
    assert not list((flow.cloud.checkout.root / "build").rglob("user-gcp-sa.json"))


def test_after_a_failure_the_next_run_leaves_one_key_that_the_cluster_has(flow: Flow) -> None:
    assert len(flow.cloud.state.of("iam.keys")[ACCOUNT]) == 1
    assert flow["all again"].writes == []


def test_fault_81_a_key_that_others_can_read_is_deleted_and_not_used(cloud: Cloud) -> None:
    listening(cloud, after='case "$*" in *"keys create"*) chmod 644 "$5";; esac')
    said = cloud.invoke("--set", KEY_SECRET[0], "deploy", code=2)
    assert "user-gcp-sa.json can be read by others (mode 644)" in said
    assert "go on with: invoke --env=staging" in said
    assert not list((cloud.checkout.root / "build").rglob("user-gcp-sa.json"))
    assert not any("user-gcp-sa" in name for name in cloud.world.cluster("mnist-staging").objects)


def test_fault_81_a_key_in_a_build_context_stops_the_build_before_it_begins(cloud: Cloud) -> None:
    cloud.invoke("deploy")
    key = cloud.checkout.root / "trainer" / "key.json"
    key.write_text('{"private_key": "-----BEGIN PRIVATE KEY-----"}')
    said = cloud.invoke("build", code=2)
    assert "trainer/key.json holds a private key" in said
    assert cloud.world.docker.builds == []
    key.unlink()
    cloud.invoke("build")


def test_a_key_of_a_run_that_was_killed_is_withdrawn_and_another_made(cloud: Cloud) -> None:
    """SIGKILL while the key is handed over: nothing of ours can clean up then."""
    waiting = cloud.state.fault(r"PATCH kubernetes\S+/secrets/user-gcp-sa", delay=5, status=403)
    run = subprocess.Popen(
        cloud.argv("--set", KEY_SECRET[0], "deploy"), cwd=cloud.checkout.root, env=cloud.environ(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    until(lambda: waiting.times == 0)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    build = cloud.checkout.root / "build" / "staging"
    (left,) = build.rglob("user-gcp-sa.json")
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    (killed,) = cloud.state.of("iam.keys")[ACCOUNT]
    assert "delete the key" in cloud.invoke("--set", KEY_SECRET[0], "deploy")
    assert not list(build.rglob("user-gcp-sa.json"))
    assert [key != killed for key in cloud.state.of("iam.keys")[ACCOUNT]] == [True]
    assert not marked(build)


def until(done: Callable[[], bool], limit: float = 60.0) -> None:
    deadline = time.monotonic() + limit
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)
