"""The gcloud stand-in makes the calls that gcloud makes, says what gcloud says, and knows nothing else."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.google import artifactregistry
from fakes.standins.gcloud.formats import NoSuchFormat, flattened, formatted, passes
from fakes.world import World
from pipeline.tools import APIS

REAL = shutil.which("gcloud")
needs_gcloud = pytest.mark.skipif(REAL is None, reason="gcloud is not installed")
ACCOUNT = "mnist-nodes@demo-project-1.iam.gserviceaccount.com"
IMAGE = "us-central1-docker.pkg.dev/demo-project-1/mnist/train"
LABELS = "managed-by=kubeflow-mnist-pipeline,part-of=mnist,environment=staging"
SMALL = "container clusters create mnist --location=us-central1-c --num-nodes=1 --machine-type=e2-small"
CREATE = (
    "container clusters create mnist --location=us-central1-c --num-nodes=2 --machine-type=e2-standard-4"
    " --enable-autoscaling --min-nodes=0 --max-nodes=3 --release-channel=regular --disk-size=50"
    f" --workload-pool=demo-project-1.svc.id.goog --labels={LABELS} --service-account={ACCOUNT} --spot"
)
UP = [
    "services enable container.googleapis.com iam.googleapis.com artifactregistry.googleapis.com",
    "iam service-accounts create mnist-nodes --display-name=nodes --description=managed-by=x",
    f"artifacts repositories create mnist --repository-format=docker --location=us-central1 --labels={LABELS}",
    "artifacts repositories add-iam-policy-binding mnist --location=us-central1 --role=roles/artifactregistry.reader"
    f" --member=serviceAccount:{ACCOUNT} --format=none",
    f"projects add-iam-policy-binding demo-project-1 --member=serviceAccount:{ACCOUNT} --role=roles/x --condition=None",
    CREATE,
    "compute addresses create mnist-ip --global --description=managed-by=x",
]
"""What makes a small world, by the stand-in in most tests and by the real one in the one that compares them."""

READS = [
    "projects describe demo-project-1 --format=json",
    "services list --enabled --format=value(config.name)",
    "compute zones describe us-central1-z --format=json",
    "compute regions describe us-central1 --format=json(quotas)",
    f"iam service-accounts describe {ACCOUNT} --format=json",
    "iam service-accounts describe nobody@demo-project-1.iam.gserviceaccount.com --format=json",
    f"iam service-accounts keys list --iam-account={ACCOUNT} --managed-by=user --format=json",
    "projects get-iam-policy demo-project-1 --flatten=bindings[].members --format=json"
    f" '--filter=bindings.members=serviceAccount:{ACCOUNT} AND bindings.role=roles/x'",
    "container clusters describe mnist --location=us-central1-c --format=json",
    "container clusters describe nothing --location=us-central1-c --format=json",
    "container clusters list --format=json",
    "container clusters get-credentials nothing --location=us-central1-c",
    "artifacts repositories describe mnist --location=us-central1 --format=json",
    "artifacts repositories describe nothing --location=us-central1 --format=json",
    f"artifacts docker images describe {IMAGE}:abc --format=value(image_summary.digest)",
    f"artifacts docker images describe {IMAGE}:nothing --format=json",
    "artifacts docker images list us-central1-docker.pkg.dev/demo-project-1/mnist --include-tags --format=json",
    "compute addresses describe mnist-ip --global --format=json",
    "compute addresses list --format=json",
    "compute disks list --format=json --filter=labels.goog-gke-volume=*",
    "endpoints services describe mnist.endpoints.demo-project-1.cloud.goog --format=json",
    "storage buckets describe gs://nothing --format=json",
    "container clusters nonsense",
    "container clusters describe mnist --nonsense=1",
]


def environment(world: World) -> dict[str, str]:
    places = {
        f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name.upper()}": f"{world.api_address}/{end}" for name, end in APIS.items()
    }
    quiet = {"CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "1",
             "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
             "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1"}  # fmt: skip
    return {**world.env(), **places, **quiet, "KUBECONFIG": str(world.folder / "kubeconfig")}


def run(world: World, line: str, program: str = "gcloud") -> subprocess.CompletedProcess[str]:
    argv = [*shlex.split(line), "--project=demo-project-1", "--quiet"]
    return world.run(program, *argv, env=environment(world))


def value(world: World, line: str) -> Any:
    done = run(world, f"{line} --format=json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        made.enable()
        yield made
    assert made.state.unknown == []


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which something of each kind is."""
    with World(tmp_path_factory.mktemp("full")) as made:
        made.enable()
        for line in UP:
            assert run(made, line).returncode == 0, line
        artifactregistry.push(made.state, IMAGE, "abc", f"sha256:{'a' * 64}")
        yield made


@pytest.mark.timed
def test_it_starts_in_a_moment(full: World) -> None:
    began = time.perf_counter()
    for _ in range(5):
        run(full, "container clusters describe mnist --location=us-central1-c")
    assert (time.perf_counter() - began) / 5 < 0.5  # 0.04 on a quiet machine; the real one takes 1 or 2


@needs_gcloud
@pytest.mark.parametrize("line", READS)
def test_the_real_one_says_the_same(full: World, line: str) -> None:
    theirs, ours = run(full, line, REAL or ""), run(full, line)
    assert ours.returncode == theirs.returncode
    assert ours.stdout.split() == theirs.stdout.split() or (ours.returncode and theirs.stdout == "[]\n")
    assert known(ours.stderr) in theirs.stderr


def known(stderr: str) -> str:
    """The line that says what is wrong, up to what the real one adds about the account."""
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR:")]
    return re.split(r"\.? ?\(or it may|\.$", errors[0])[0].partition(" services instance")[0] if errors else ""


@needs_gcloud
def test_the_real_one_makes_the_same_world_by_the_same_writes(tmp_path: Path) -> None:
    worlds = []
    for name, program in (("theirs", REAL or ""), ("ours", "gcloud")):
        with World(tmp_path / name) as made:
            made.enable()
            assert [run(made, line, program).returncode for line in UP] == [0] * len(UP)
            worlds.append((made.summary(), made.state.writes, made.state.unknown))
    assert worlds[0] == worlds[1]


def test_a_second_creation_says_that_it_is_there(full: World) -> None:
    done = run(full, CREATE)
    assert done.returncode == 1
    assert "ResponseError: code=409, message=Already exists: projects/demo-project-1/zones/us-central1-c" in done.stderr


def test_nobody_logged_in_is_told_to_log_in(world: World) -> None:
    world.login.leave()
    done = run(world, "projects describe demo-project-1")
    assert done.returncode == 1
    assert "You do not currently have an active account selected" in done.stderr


def test_an_ended_login_is_told_in_gclouds_words(world: World) -> None:
    world.login.end()
    done = run(world, "projects describe demo-project-1")
    assert done.returncode == 1
    assert "There was a problem refreshing your current auth tokens" in done.stderr


def test_expired_tokens_are_replaced(world: World) -> None:
    first = run(world, "auth print-access-token").stdout
    world.login.expire_tokens()
    assert run(world, "auth print-access-token").stdout != first
    assert run(world, "projects describe demo-project-1").returncode == 0


def test_a_fault_is_felt_once_and_not_tried_again(world: World) -> None:
    world.state.fault("POST iam/v1/projects", status=503, message="backend error")
    line = "iam service-accounts create mnist-nodes"
    assert [run(world, line).returncode, run(world, line).returncode] == [1, 0]


def test_a_lost_connection_is_a_crash_of_gcloud(world: World) -> None:
    world.state.fault("GET cloudresourcemanager", drop=True)
    done = run(world, "projects describe demo-project-1")
    assert done.returncode == 1
    assert "ERROR: gcloud crashed (ConnectionResetError)" in done.stderr


def test_operations_are_waited_for(world: World) -> None:
    world.slow(3)
    assert (
        run(
            world, "container clusters create mnist --location=us-central1-c --num-nodes=1 --machine-type=e2-small"
        ).returncode
        == 0
    )
    assert value(world, "container clusters describe mnist --location=us-central1-c")["status"] == "RUNNING"


def test_an_operation_that_fails_tells_why(world: World) -> None:
    world.fail_next("CREATE_CLUSTER", "ZONE_RESOURCE_POOL_EXHAUSTED: out of stock")
    done = run(world, SMALL)
    assert done.returncode == 1
    assert "finished with error: ZONE_RESOURCE_POOL_EXHAUSTED" in done.stderr


def test_credentials_lead_kubectl_to_the_cluster(full: World) -> None:
    assert run(full, "container clusters get-credentials mnist --location=us-central1-c").returncode == 0
    config = full.folder / "kubeconfig"
    assert config.stat().st_mode & 0o777 == 0o600
    context = "gke_demo-project-1_us-central1-c_mnist"
    done = full.run("kubectl", "get", "namespaces", "-o", "name", f"--kubeconfig={config}", f"--context={context}",
                    env=environment(full))  # fmt: skip
    assert "namespace/default" in done.stdout, done.stderr


def test_a_deleted_cluster_leaves_the_kubeconfig(world: World) -> None:
    run(world, SMALL)
    assert run(world, "container clusters delete mnist --location=us-central1-c").returncode == 0
    assert json.loads((world.folder / "kubeconfig").read_text())["contexts"] == []


def test_a_key_is_written_for_its_owner_only(world: World, tmp_path: Path) -> None:
    run(world, "iam service-accounts create mnist-user")
    account = "mnist-user@demo-project-1.iam.gserviceaccount.com"
    assert (
        run(world, f"iam service-accounts keys create {tmp_path / 'key.json'} --iam-account={account}").returncode == 0
    )
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((tmp_path / "key.json").read_text())["client_email"] == account


def built(world: World, folder: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    world.add_bucket("demo-bucket")
    run(world, UP[2])
    staging = "--gcs-source-staging-dir=gs://demo-bucket/build-source"
    return run(world, f"builds submit {folder} --region=us-central1 {staging} --tag={IMAGE}:1 --suppress-logs")


def test_cloud_build_uploads_the_folder_and_pushes_the_image(world: World, tmp_path: Path) -> None:
    done = built(world, tmp_path / "context")
    assert done.returncode == 0, done.stderr
    assert run(world, f"artifacts docker images describe {IMAGE}:1").returncode == 0
    assert [name.partition("/")[0] for name in world.objects("demo-bucket")] == ["build-source"]


def test_a_failed_build_says_so(world: World, tmp_path: Path) -> None:
    world.fail_builds("no such package")
    done = built(world, tmp_path / "context")
    assert done.returncode == 1
    assert 'completed with status "FAILURE"' in done.stderr


def test_the_dns_name_is_made_and_given_up(world: World, tmp_path: Path) -> None:
    name = "mnist.endpoints.demo-project-1.cloud.goog"
    (tmp_path / "endpoint.json").write_text(
        json.dumps({"swagger": "2.0", "info": {"title": "x", "version": "1"}, "host": name})
    )
    assert run(world, f"endpoints services deploy {tmp_path / 'endpoint.json'} --force").returncode == 0
    assert len(value(world, f"endpoints configs list --service={name}")) == 1
    assert run(world, f"endpoints services delete {name}").returncode == 0
    assert "does not have permission to access" in run(world, f"endpoints services describe {name}").stderr


def test_docker_is_led_to_gcloud_for_its_logins(world: World, tmp_path: Path) -> None:
    done = world.run("gcloud", "auth", "configure-docker", "us-central1-docker.pkg.dev", "--quiet",
                     env={**environment(world), "DOCKER_CONFIG": str(tmp_path / "docker")})  # fmt: skip
    assert done.returncode == 0
    helpers = json.loads((tmp_path / "docker/config.json").read_text())["credHelpers"]
    assert helpers == {"us-central1-docker.pkg.dev": "gcloud"}


@pytest.mark.parametrize("flag", ["--format=table(name)", "--format=value(name.nonsense())", "--filter=(a=b)"])
def test_a_format_or_filter_it_does_not_know_ends_with_2(full: World, flag: str) -> None:
    assert run(full, f"container clusters list '{flag}'").returncode == 2


ITEM = {
    "name": "x",
    "labels": {"a": "b", "empty": ""},
    "on": True,
    "list": [1, 2],
    "in": {"deep": "y"},
    "path": "a/b/c",
}


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("value(name,in.deep)", "x\ty\n"),
        ("value(list,on,nothing)", "1;2\tTrue\t\n"),
        ("value(path.basename())", "c\n"),
        ("value(labels)", "a=b;empty=\n"),
        ("none", ""),
        ("json(in.deep,nothing)", '{\n  "in": {\n    "deep": "y"\n  }\n}\n'),
    ],
)
def test_values_are_printed_as_gcloud_prints_them(format: str, text: str) -> None:
    assert formatted(ITEM, format) == text


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("name=x", True), ("name=y", False), ("name!=y", True), ("name=x AND in.deep=y", True),
        ("name=x in.deep=z", False), ("labels.a:*", True), ("labels.empty=*", True), ("labels.none=*", False),
        ("-labels.a:*", False), ("name~^x$", True), ("list=2", True), ("name:x*", True),
    ],
)  # fmt: skip
def test_filters_hold_as_gclouds_do(text: str, holds: bool) -> None:
    assert passes(ITEM, text) is holds


def test_a_filter_with_or_is_refused() -> None:
    with pytest.raises(NoSuchFormat):
        passes(ITEM, "a=b OR c=d")


def test_flattening_gives_one_item_for_each_member() -> None:
    policy = {"bindings": [{"role": "r", "members": ["a", "b"]}, {"role": "s", "members": ["a"]}]}
    found = [
        (one["bindings"]["role"], one["bindings"]["members"]) for one in flattened([policy], ["bindings[]", "members"])
    ]
    assert found == [("r", "a"), ("r", "b"), ("s", "a")]


def test_the_overrides_of_the_pipeline_are_followed(full: World) -> None:
    wrong = {**environment(full), "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER": "http://127.0.0.1:9/container/"}
    done = full.run("gcloud", "container", "clusters", "list", "--project=demo-project-1", env=wrong)
    assert "gcloud crashed (ConnectionRefusedError)" in done.stderr


def test_no_project_is_a_failure(full: World) -> None:
    done = full.run("gcloud", "container", "clusters", "list", env=environment(full))
    assert "The required property [project] is not currently set" in done.stderr
    assert os.environ.get("CLOUDSDK_CORE_PROJECT") is None
