"""A training whose bucket is gone, closed or lost for a while: a sentence, and no restart that nobody notices."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.trainer.cloud import Cloud

from .conftest import ROOT, TrainerProcess

RUN, EXPORT = "gs://b-one/100", "gs://b-one/export"
FLAGS = (f"--tf-model-dir={RUN}", f"--tf-export-dir={EXPORT}", "--tf-train-steps=40", "--tf-checkpoint-every=10")

LIST = """
import sys
from trainer import files
from trainer.errors import TrainerError

for line in sys.stdin:
    try:
        print(files.names_in(line.strip()), flush=True)
    except TrainerError as error:
        print(type(error).__name__, error, flush=True)
"""


def train(cloud: Cloud, code: int) -> str:
    argv = [sys.executable, "-m", "trainer", *TrainerProcess.small, "--tf-version-tag=100", *FLAGS]
    done = subprocess.run(
        argv, cwd=ROOT, env=cloud.env(), capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert done.stderr.count("\n") == (code != 0), done.stderr
    return said


def checkpoints(cloud: Cloud) -> list[str]:
    return [name[15:23] for name in cloud.objects() if name.startswith("100/checkpoint-")]


class Lister:
    """A process that lists folders on gs:// as the trainer does, and says what it found."""

    def __init__(self, cloud: Cloud) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LIST], cwd=ROOT, env=cloud.env(), text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def names(self, folder: str) -> str:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


def test_fault_33_only_a_folder_that_is_known_to_be_empty_is_a_fresh_one(cloud: Cloud) -> None:
    lister = Lister(cloud)
    with lister.process:
        assert lister.names("gs://b-one/new") == "[]"
        refusal = "TrainerError Could not read the folder {}: Error executing an HTTP request: HTTP response code {}"
        gone = lister.names("gs://b-two/new")
        assert gone.startswith(refusal.format("gs://b-two/new", 404).replace("TrainerError", "MissingError"))
        assert gone.endswith("Google says: The specified bucket does not exist.")
        for pattern in ("GET storage/storage/v1/b/b-one/o$", "GET storage/storage/v1/b/b-one/o/"):
            fault = cloud.state.fault(pattern, status=403, message="x@y does not have access.", times=100)
            denied = lister.names(f"gs://b-one/new/{pattern[-1]}")
            assert denied.startswith(refusal.format(f"gs://b-one/new/{pattern[-1]}", 403))
            assert denied.endswith("Google says: x@y does not have access.")
            fault.times = 0
        assert lister.process.stdin
        lister.process.stdin.close()


def test_fault_33_a_training_that_loses_its_permission_ends_and_goes_on_when_it_is_back(cloud: Cloud) -> None:
    fault = cloud.state.fault("POST storage/upload/.*", status=403, message="x@y may not.", times=100, skip=5)
    said = train(cloud, 1)
    assert said.endswith("HTTP response code 403. Google says: x@y may not.\n")
    assert "Could not write gs://b-one/100/" in said
    left = checkpoints(cloud)
    assert left
    fault.times = 0
    closed = cloud.state.fault("GET storage/storage/v1/b/b-one/o$", status=403, message="may not list.", times=100)
    assert train(cloud, 1).endswith("Google says: may not list.\n")  # no training from the start
    assert checkpoints(cloud) == left
    closed.times = 0
    assert f"Resuming after step {int(left[-1])} of 40" in train(cloud, 0)
    card = json.loads(cloud.state.of("storage.objects/b-one")["export/100/model_card.json"]["data"])
    assert card["resumed_from"] == int(left[-1])


def test_fault_33_a_bucket_that_goes_away_ends_the_training_in_one_sentence(cloud: Cloud) -> None:
    def remove(request: object) -> None:
        cloud.state.of("storage.buckets").clear()

    cloud.state.fault("POST storage/upload/.*", status=404, then=remove, skip=5)
    said = train(cloud, 1)
    assert "Could not write gs://b-one/100/" in said
    assert "HTTP response code 404" in said
    assert train(cloud, 1) == "Could not find gs://b-one: The specified bucket gs://b-one was not found.\n"
