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


def test_a_checkout_in_a_folder_with_an_odd_name_works(tmp_path: Path) -> None:
    odd = copied(tmp_path / "100% 'sure' ü" / "checkout")
    try:
        odd.invoke("train", "serve", "ui", *SMALL)
        assert "AVAILABLE" in odd.invoke("status")
        assert "nothing is left" in odd.invoke("clean")
    finally:
        odd.end()


def test_a_frozen_supervisor_holds_nobody_up(trained: Checkout) -> None:
    trained.invoke("serve", *SMALL)
    os.kill(int((trained.build / "run" / "supervisord.pid").read_text()), signal.SIGSTOP)
    assert "unsupervised" in trained.invoke("status", timeout=30)
    assert "nothing is left" in trained.invoke("clean", timeout=90)
    assert marked(trained.build) == []


def test_damaged_records_of_the_local_cluster_are_made_anew(trained: Checkout) -> None:
    trained.invoke("serve", *SMALL)
    for number, path in enumerate([*trained.build.glob("objects/*.json"), *trained.build.glob("run/programs/*.json")]):
        path.write_text(("{", "[]", "null", "{}")[number % 4])
    trained.invoke("status")
    trained.invoke("serve", *SMALL)
    assert "AVAILABLE" in trained.invoke("status")


def test_another_model_name_takes_the_place_of_the_old_server(trained: Checkout) -> None:
    trained.invoke("serve", *SMALL)
    other = ("--set", "serving.model_name=digits")
    assert "stop mnist-serving, whose place it takes" in trained.invoke("serve", *SMALL, *other)
    status = trained.invoke("status", *other)
    assert "digits-serving" in status
    assert "mnist-serving" not in status


def test_a_tag_from_the_far_future_is_refused_before_anything_is_written(checkout: Checkout) -> None:
    assert "more than a day ahead" in checkout.invoke("train", "--tag=99999999999", *SMALL, code=2)
    assert not list(checkout.build.glob("bucket/*/run.json"))


def test_a_run_with_mnist_dir_is_not_resumed_without_it(trained: Checkout) -> None:
    record = trained.build / "bucket" / str(int(time.time()) - 10) / "run.json"
    (made,) = (path for path in trained.build.glob("bucket/*/run.json"))
    inputs = json.loads(made.read_text())["inputs"]
    shutil.rmtree(trained.build / "bucket" / "export")
    shutil.rmtree(made.parent)
    record.parent.mkdir()
    record.write_text(json.dumps({"inputs": {**inputs, "MNIST_DIR": "0123456789ab"}}))
    assert "make version" in trained.invoke("train", *SMALL)


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
