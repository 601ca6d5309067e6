"""The preflight against Cloud Storage's protocol, spoken by TensorFlow itself: which refusal leads to which role."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.trainer.cloud import Cloud

ROOT = Path(__file__).resolve().parents[2]
OBJECTS, BUCKET = "roles/storage.objectUser", "roles/storage.legacyBucketReader"


def run(cloud: Cloud, place: str = "gs://b-one") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trainer.preflight", place], cwd=ROOT, env=cloud.env(), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("place", ["gs://b-one", "gs://b-one/with/prefix"])
def test_a_bucket_that_may_be_used_passes_and_holds_no_preflight_afterwards(cloud: Cloud, place: str) -> None:
    done = run(cloud, place)
    assert done.returncode == 0, done.stderr
    assert not [name for name in cloud.objects() if "preflight" in name]


@pytest.mark.parametrize(
    ("step", "request_refused", "role"),
    [
        ("find", "GET storage/storage/v1/b/b-one$", BUCKET),
        ("write", "POST storage/upload", OBJECTS),
        ("read", "GET storage/b-one/preflight", OBJECTS),
        ("list", "GET storage/storage/v1/b/b-one/o$", OBJECTS),
        ("delete", "DELETE storage", OBJECTS),
    ],
)
def test_what_cloud_storage_refuses_is_named_with_the_role_that_permits_it(
    cloud: Cloud, step: str, request_refused: str, role: str
) -> None:
    cloud.state.fault(request_refused, status=403, message="x@y does not have access.", times=100)
    done = run(cloud)
    assert done.returncode == 1
    assert done.stderr.startswith(f"preflight, {step}: Could not ")
    assert done.stderr.endswith(
        "HTTP response code 403. Google says: x@y does not have access. "
        f"The workload's account probably lacks {role} on the bucket.\n"
    )
    assert done.stderr.count("\n") == 1


def test_a_bucket_that_is_not_there_is_not_a_missing_role(cloud: Cloud) -> None:
    done = run(cloud, "gs://b-two")
    assert done.returncode == 1
    assert done.stderr.startswith("preflight, find: Could not find gs://b-two: ")
    assert "roles/" not in done.stderr


def test_fault_41_a_passing_fault_of_cloud_storage_is_outlasted(cloud: Cloud) -> None:
    cloud.state.fault("POST storage/upload", status=503)
    assert run(cloud).returncode == 0
