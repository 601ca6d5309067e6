"""Odd places, odd states and odd wishes on one machine: things work, or say in one sentence why not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import SMALL, Checkout, copied
from pipeline.processes import marked

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["with space", "100% sure"])
def test_a_checkout_in_a_folder_with_an_odd_name_works(name: str, tmp_path: Path) -> None:
    odd = copied(tmp_path / name / "checkout")
    try:
        odd.invoke("train", "serve", "ui", *SMALL)
        assert "AVAILABLE" in odd.invoke("status")
        assert "nothing is left" in odd.invoke("clean")
    finally:
        odd.end()


def test_a_frozen_supervisor_holds_nobody_up(checkout: Checkout) -> None:
    checkout.invoke("train", "serve", *SMALL)
    os.kill(int((checkout.build / "run" / "supervisord.pid").read_text()), signal.SIGSTOP)
    assert "unsupervised" in checkout.invoke("status", timeout=30)
    assert "nothing is left" in checkout.invoke("clean", timeout=90)
    assert marked(checkout.build) == []


def test_damaged_records_of_the_local_cluster_are_made_anew(checkout: Checkout) -> None:
    checkout.invoke("train", "serve", *SMALL)
    for number, path in enumerate(
        [*checkout.build.glob("objects/*.json"), *checkout.build.glob("run/programs/*.json")]
    ):
        path.write_text(("{", "[]", "null", "{}")[number % 4])
    checkout.invoke("status")
    checkout.invoke("serve", *SMALL)
    assert "AVAILABLE" in checkout.invoke("status")


def test_another_model_name_takes_the_place_of_the_old_server(checkout: Checkout) -> None:
    checkout.invoke("train", "serve", *SMALL)
    other = ("--set", "serving.model_name=digits")
    assert "stop mnist-serving, whose place it takes" in checkout.invoke("serve", *SMALL, *other)
    status = checkout.invoke("status", *other)
    assert "digits-serving" in status
    assert "mnist-serving" not in status


def test_a_tag_from_the_far_future_is_refused_before_anything_is_written(checkout: Checkout) -> None:
    assert "more than a day ahead" in checkout.invoke("train", "--tag=99999999999", *SMALL, code=2)
    assert not list(checkout.build.glob("bucket/*/run.json"))


def test_a_run_with_mnist_dir_is_not_resumed_without_it(checkout: Checkout) -> None:
    checkout.invoke("deploy")
    record = checkout.build / "bucket" / str(int(time.time()) - 10) / "run.json"
    record.parent.mkdir()
    checkout.invoke("train", *SMALL)
    (made,) = (path for path in checkout.build.glob("bucket/*/run.json"))
    inputs = json.loads(made.read_text())["inputs"]
    shutil.rmtree(checkout.build / "bucket" / "export")
    shutil.rmtree(made.parent)
    record.write_text(json.dumps({"inputs": {**inputs, "MNIST_DIR": "0123456789ab"}}))
    assert "make version" in checkout.invoke("train", *SMALL)


def test_a_full_disk_does_not_stop_clean(checkout: Checkout) -> None:
    checkout.invoke("deploy")
    build = checkout.root / "build"
    fill = f"mount -t tmpfs -o size=64k tmpfs {build} && head -c 65536 /dev/zero > {build}/fill"
    if subprocess.run(["unshare", "-m", "sh", "-c", f"mkdir -p /tmp && {fill}; true"], check=False).returncode:
        pytest.skip("this user may not mount")
    command = " ".join(f"'{word}'" for word in checkout.argv("clean"))
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f"{{ {fill}; }} 2>/dev/null; exec {command}"],
        cwd=checkout.root, env=checkout.env(),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("bucket", ["/", ".", "build", "build/local", "~/models", "/data/[1]"])
def test_a_bucket_in_a_place_that_holds_other_things_is_refused(bucket: str, checkout: Checkout) -> None:
    assert "storage.bucket" in checkout.invoke("deploy", "--set", f"storage.bucket={bucket}", code=2)


def test_an_option_that_takes_a_number_wants_one(checkout: Checkout) -> None:
    assert "a whole number is wanted" in checkout.invoke("predict", "--count=abc", code=2)


@pytest.mark.parametrize("stage", ["", "tensorboard", "notebook"])
def test_a_plan_from_nothing_asks_for_no_address_that_is_yet_to_be(stage: str, checkout: Checkout) -> None:
    said = checkout.invoke("plan", *([stage] if stage else []), code=2)
    changes = [line for line in said.splitlines() if line.startswith("  run   ")]
    assert said.splitlines()[-1].startswith(f"plan: {len(changes)} changes; ")
    assert any("Service" in line for line in changes)
