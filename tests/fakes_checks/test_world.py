"""The fake world itself: what it logs, how its requests fail, what it makes of operations, and how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.world import World

README = Path(__file__).resolve().parent.parent / "fakes" / "README.md"
CLUSTERS = "/container/v1/projects/demo-project-1/locations/us-central1-c/clusters"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        made.enable()
        yield made


def ask(world: World, method: str, path: str, body: Any = None, content: str = "application/json") -> tuple[int, Any]:
    """One request and its answer: status and JSON."""
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    headers = {"Authorization": "Bearer x", "Content-Type": content}
    request = urllib.request.Request(world.api_address + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if "json" in answer.headers["content-type"] else text
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_world_is_empty_at_first(world: World) -> None:
    assert world.summary() == []


def test_call_that_no_fake_knows_fails_and_is_noted(world: World) -> None:
    assert ask(world, "GET", "/container/v1/nonsense")[0] == 501
    assert ask(world, "GET", "/nonsense/v1/x")[0] == 501
    assert [line.split(":")[0] for line in world.state.unknown] == ["GET container/v1/nonsense", "GET nonsense/v1/x"]


def test_call_without_a_token_is_refused(world: World) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401") as error:
        urllib.request.urlopen(world.api_address + CLUSTERS, timeout=10)
    error.value.close()


def test_another_project_is_refused(world: World) -> None:
    status, answer = ask(world, "GET", "/cloudresourcemanager/v1/projects/somebody-elses")
    assert (status, answer["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_only_what_changes_something_is_a_write(world: World) -> None:
    ask(world, "GET", CLUSTERS)
    ask(world, "POST", "/cloudresourcemanager/v1/projects/demo-project-1:getIamPolicy", {})
    assert world.state.writes == []
    ask(world, "POST", CLUSTERS, {"cluster": {"name": "mnist", "initialNodeCount": 1}})
    assert world.state.writes == ["POST container/v1/projects/demo-project-1/locations/us-central1-c/clusters"]


def test_fault_is_met_as_often_as_was_said(world: World) -> None:
    world.state.fault("GET container", status=503, message="try later", times=2, skip=1)
    assert [ask(world, "GET", CLUSTERS)[0] for _ in range(4)] == [200, 503, 503, 200]


def test_fault_after_the_deed_loses_only_the_answer(world: World) -> None:
    world.state.fault("POST container", status=500, done_first=True)
    assert ask(world, "POST", CLUSTERS, {"cluster": {"name": "mnist", "initialNodeCount": 1}})[0] == 500
    assert [one["name"] for one in ask(world, "GET", CLUSTERS)[1]["clusters"]] == ["mnist"]


def test_lost_connection_has_no_answer(world: World) -> None:
    world.state.fault("GET container", drop=True)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(world, "GET", CLUSTERS)


def test_slow_operation_is_done_after_some_questions(world: World) -> None:
    world.slow(2)
    operation = ask(world, "POST", CLUSTERS, {"cluster": {"name": "mnist", "initialNodeCount": 1}})[1]["name"]
    place = f"{CLUSTERS.removesuffix('clusters')}operations/{operation}"
    assert "endpoint" not in world.state.of("container.clusters")["us-central1-c/mnist"]
    assert [ask(world, "GET", place)[1]["status"] for _ in range(2)] == ["RUNNING", "DONE"]
    assert ask(world, "GET", f"{CLUSTERS}/mnist")[1]["endpoint"] == world.cluster().endpoint


def test_cluster_whose_operation_nobody_follows_comes_up_too(world: World) -> None:
    world.slow(2)
    ask(world, "POST", CLUSTERS, {"cluster": {"name": "mnist", "initialNodeCount": 1}})
    assert [ask(world, "GET", f"{CLUSTERS}/mnist")[1]["status"] for _ in range(2)] == ["PROVISIONING", "RUNNING"]


def test_cluster_that_is_being_made_cannot_be_deleted_yet(world: World) -> None:
    world.slow(2)
    ask(world, "POST", CLUSTERS, {"cluster": {"name": "mnist", "initialNodeCount": 1}})
    status, answer = ask(world, "DELETE", f"{CLUSTERS}/mnist")
    assert (status, answer["error"]["status"]) == (400, "FAILED_PRECONDITION")


def test_deleted_account_stays_in_the_policy_under_another_name(world: World) -> None:
    world.plant()
    ask(world, "DELETE", "/iam/v1/projects/-/serviceAccounts/mnist-half@demo-project-1.iam.gserviceaccount.com")
    email = "mnist-half@demo-project-1.iam.gserviceaccount.com"
    line = f"binding on project: roles/artifactregistry.reader deleted:serviceAccount:{email}?uid=…"
    assert line in world.summary()


def test_batch_answers_and_logs_each_request_alone(world: World) -> None:
    place = "/compute/v1/projects/demo-project-1/global/addresses/"
    parts = "".join(
        f"--x\r\nContent-Type: application/http\r\nContent-ID: <{name}>\r\n\r\nGET {place}{name} HTTP/1.1\r\n\r\n\r\n"
        for name in ("a", "b")
    )
    body = f"{parts}--x--\r\n".encode()
    status, answer = ask(world, "POST", "/batch/compute/v1", body, "multipart/mixed; boundary=x")
    assert (status, answer.count(b"HTTP/1.1 404")) == (200, 2)
    assert world.state.requests == [f"GET compute/v1/projects/demo-project-1/global/addresses/{n}" for n in "ab"]


def test_image_goes_only_into_a_registry_that_is_there(world: World) -> None:
    image = {"image": "us-central1-docker.pkg.dev/demo-project-1/mnist/train", "tag": "abc"}
    status, answer = ask(world, "POST", "/artifactregistry/fake/push", image)
    assert (status, answer["error"]["message"]) == (404, 'name unknown: Repository "mnist" not found')


def test_planted_things_are_more_than_fifty(world: World) -> None:
    planted = world.plant()
    assert len(planted) > 50
    assert planted == world.summary()


def test_cluster_of_a_name_that_was_deleted_is_a_new_one(world: World) -> None:
    ask(world, "POST", CLUSTERS, {"cluster": {"name": "mnist", "initialNodeCount": 1}})
    world.cluster().add("namespaces", {"metadata": {"name": "kubeflow"}})
    ask(world, "DELETE", f"{CLUSTERS}/mnist")
    ask(world, "POST", CLUSTERS, {"cluster": {"name": "mnist", "initialNodeCount": 1}})
    assert "kubernetes us-central1-c/mnist namespaces/kubeflow" not in world.summary()


def test_clusters_of_one_name_in_two_zones_are_apart(world: World) -> None:
    one, other = world.add_cluster("mnist"), world.add_cluster("mnist", "us-central1-f")
    one.add("namespaces", {"metadata": {"name": "kubeflow"}})
    assert "kubeflow" not in [found["metadata"]["name"] for found in other.of("namespaces")]


def test_summary_is_the_same_for_two_worlds_made_alike(tmp_path: Path) -> None:
    summaries = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with World(tmp_path / name) as made:
            made.plant()
            summaries.append(made.summary())
    assert summaries[0] == summaries[1]


def test_environment_leads_to_our_login_and_executables(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "somebody-elses")
    env = world.env()
    assert env["PATH"].split(os.pathsep)[0] == str(tmp_path / "bin")
    assert (Path(env["CLOUDSDK_CONFIG"]) / "configurations" / "config_default").is_file()
    assert "CLOUDSDK_CORE_PROJECT" not in env


def test_examples_of_the_readme_run(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    first, faults, _ = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    exec(compile(first, str(README), "exec"), {})  # noqa: S102 - the page is ours
    assert "object models/export/1/saved_model.pb" in capsys.readouterr().out
    exec(compile(faults, str(README), "exec"), {"world": world})  # noqa: S102
    assert [fault.status for fault in world.state.faults] == [503, 0, 0, 500, 403, 0, 0]


def test_closed_world_answers_no_more(tmp_path: Path) -> None:
    with World(tmp_path) as made:
        made.enable()
        cluster = made.add_cluster("mnist")
    with pytest.raises(urllib.error.URLError, match="refused"):
        ask(made, "GET", CLUSTERS)
    assert cluster.closed
