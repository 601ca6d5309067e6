"""The bucket in Cloud Storage: the real google-cloud-storage against a fake on loopback, its token from gcloud."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.world import World
from pipeline import storage, versions
from pipeline.cloudstorage import CloudBucket, saying
from pipeline.config import load
from pipeline.errors import PipelineError, RunFailed
from pipeline.execution import execute
from pipeline.processes import PASSED_ON
from pipeline.settings import Settings
from pipeline.tools import labels, login

NAME = "demo-project-1-mnist-staging-bucket"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with World(tmp_path / "world") as made:
        made.enable()
        for name, value in made.env().items():
            if name in (*PASSED_ON, "CLOUDSDK_CONFIG"):
                monkeypatch.setenv(name, value)
        yield made
        assert not made.state.unknown


@pytest.fixture
def of(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("pipeline.settings.ROOT", tmp_path / "checkout")
    made = load("staging", world.sets()).settings
    execute(login(made), made.build, lambda line: None)
    return made


@pytest.fixture
def bucket(of: Settings) -> Iterator[CloudBucket]:
    storage.of.cache_clear()
    made = storage.of(of)
    assert isinstance(made, CloudBucket)
    yield made
    made.client.close()
    storage.of.cache_clear()


def test_a_bucket_is_made_in_one_request_with_labels_place_and_locks(world: World, bucket: CloudBucket) -> None:
    bucket.create()
    assert [line for line in world.state.writes if "/b" in line] == ["POST storage/storage/v1/b"]
    made = world.state.of("storage.buckets")[NAME]
    assert made["labels"] == labels(bucket.settings)
    assert made["location"].lower() == "us-central1"
    assert made["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"] is True
    assert made["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    assert int(made["softDeletePolicy"]["retentionDurationSeconds"]) == 0
    assert bucket.ours()


def test_fault_43_a_bucket_of_ours_that_is_there_already_is_fine(bucket: CloudBucket) -> None:
    bucket.create()
    bucket.create()
    assert bucket.ours()


@pytest.mark.parametrize("whose", [{}, {"managed-by": "terraform"}, {"environment": "production"}])
def test_fault_43_a_bucket_without_this_environments_labels_is_refused_and_left(
    world: World, bucket: CloudBucket, whose: dict[str, str]
) -> None:
    marks = {**labels(bucket.settings), **whose} if whose else {}
    world.add_bucket(NAME, labels=marks)
    assert not bucket.ours()
    with pytest.raises(PipelineError, match="belongs to somebody else") as caught:
        bucket.create()
    assert caught.value.code == 2
    assert list(bucket.delete()) == [f"gs://{NAME} left alone: it does not bear this environment's labels"]
    assert NAME in world.state.of("storage.buckets")


def test_fault_43_a_name_that_another_project_has_is_one_sentence(world: World, bucket: CloudBucket) -> None:
    world.add_bucket(NAME, ours=False)
    with pytest.raises(PipelineError) as caught:
        bucket.create()
    assert NAME in str(caught.value.message)
    assert "Traceback" not in str(caught.value.message)


def test_what_is_written_is_read_back_listed_and_gone_with_the_bucket(world: World, bucket: CloudBucket) -> None:
    bucket.create()
    bucket.write("7/run.json", "{}")
    bucket.write("export/7/saved_model.pb", "graph")
    bucket.write("export/7/variables/index", "ab")
    assert bucket.read("7/run.json") == "{}"
    assert bucket.read_bytes("export/7/saved_model.pb") == b"graph"
    assert bucket.read("nothing") is None
    assert bucket.folders() == ["7", "export"]
    assert bucket.folders("export") == ["7"]
    assert bucket.folders("nothing") == []
    assert bucket.sizes("export/7") == {"saved_model.pb": 5, "variables/index": 2}
    assert list(bucket.delete()) == [f"gs://{NAME} deleted, with 1 versions"]
    assert world.state.of("storage.buckets") == {}
    assert list(bucket.delete()) == [f"gs://{NAME} is not there"]


def test_a_bucket_that_is_not_there_has_no_folders(bucket: CloudBucket) -> None:
    assert bucket.folders() == []
    assert bucket.found() is None
    assert bucket.ours()


def test_more_than_a_page_of_folders_is_listed_whole(world: World, bucket: CloudBucket) -> None:
    bucket.create()
    for number in range(1200):
        world.put(NAME, f"export/{number:04}/a", b"")
    assert len(bucket.folders("export")) == 1200


def put_version(world: World, tag: str, accuracy: float, damage: bool = False) -> None:
    """A small version: a card, a graph, and the sizes of both."""
    card = {
        "created": "2026-11-23T12:13:20Z", "model": "fast", "steps": 60, "durations": {"total_s": 9.5},
        "dataset": {"name": "mnist", "stand_in": False},
        "metrics": {"test_accuracy": accuracy, "test_examples": 10_000},
    }  # fmt: skip
    files = {"model_card.json": json.dumps(card).encode(), "saved_model.pb": b"graph"}
    sums = {name: {"size": len(data), "sha256": "0" * 64} for name, data in files.items()}
    for name, data in {**files, "checksums.json": json.dumps({"files": sums}).encode()}.items():
        world.put(NAME, f"export/{tag}/{name}", data[:-1] if damage and name == "saved_model.pb" else data)


def test_versions_are_listed_newest_first_and_half_ones_are_none(
    world: World, of: Settings, bucket: CloudBucket
) -> None:
    bucket.create()
    put_version(world, "100", 0.97)
    put_version(world, "300", 0.98)
    put_version(world, "200", 0.99, damage=True)
    listed = versions.listed(of)
    assert [(one.tag, one.card["metrics"]["test_accuracy"]) for one in listed] == [("300", 0.98), ("100", 0.97)]
    assert versions.damage(of, "200") == "saved_model.pb"
    assert all(one.size > 0 for one in listed)


def test_of_two_people_who_write_at_once_one_is_told(bucket: CloudBucket) -> None:
    bucket.create()
    first = bucket.generation("aliases.json")
    assert first == 0
    bucket.write("aliases.json", "ann", generation=first)
    with pytest.raises(PipelineError, match="was changed by somebody else meanwhile"):
        bucket.write("aliases.json", "bob", generation=first)
    bucket.write("aliases.json", "bob", generation=bucket.generation("aliases.json"))
    assert bucket.read("aliases.json") == "bob"


def test_a_write_over_a_generation_whose_answer_was_lost_is_no_conflict(world: World, bucket: CloudBucket) -> None:
    bucket.create()
    world.state.fault("POST storage/upload", status=503, done_first=True)
    bucket.write("aliases.json", "ann", generation=0)
    assert bucket.read("aliases.json") == "ann"


READER = {"roles/storage.objectViewer": {"user:ann@example.org"}}


def test_access_is_given_once_and_taken_again_and_others_keep_theirs(world: World, bucket: CloudBucket) -> None:
    bucket.create()
    before = bucket.granted()
    world.state.writes.clear()
    bucket.grant({**READER, "roles/storage.objectUser": {"user:bob@example.org"}})
    assert len(world.state.writes) == 1
    assert bucket.granted()["roles/storage.objectViewer"] == {"user:ann@example.org"}
    bucket.grant({"roles/storage.objectUser": {"user:bob@example.org"}}, take=True)
    assert bucket.granted() == {**before, **READER}


def test_fault_41_a_change_of_access_at_the_same_time_is_tried_again(world: World, bucket: CloudBucket) -> None:
    bucket.create()
    world.state.fault(r"PUT storage/storage/v1/b/[^/]+/iam", status=412, message="conditionNotMet")
    bucket.grant(READER)
    assert bucket.granted()["roles/storage.objectViewer"] == {"user:ann@example.org"}


def test_people_who_change_access_at_once_lose_nothing(bucket: CloudBucket) -> None:
    bucket.create()
    people = [f"user:{name}@example.org" for name in "abcd"]
    threads = [threading.Thread(target=bucket.grant, args=({"roles/storage.objectViewer": {one}},)) for one in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bucket.granted()["roles/storage.objectViewer"] == set(people)


def test_fault_51_an_expired_token_is_asked_for_anew(world: World, bucket: CloudBucket) -> None:
    bucket.create()
    world.login.expire_tokens()
    bucket.write("a", "b")
    assert bucket.read("a") == "b"


def test_fault_51_a_login_that_has_ended_is_one_sentence_with_the_command(world: World, bucket: CloudBucket) -> None:
    bucket.create()
    world.login.end()
    with pytest.raises(RunFailed, match="gcloud auth login") as caught:
        bucket.read("a")
    assert caught.value.code == 1


# The client leaves the socket of a download that it tries again to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_fault_41_a_service_that_fails_for_a_moment_is_asked_again(world: World, bucket: CloudBucket) -> None:
    bucket.create()
    bucket.write("a", "b")
    world.state.fault(r"GET storage/storage", status=503, times=2)
    assert bucket.read("a") == "b"
    gc.collect()


def test_a_refusal_names_what_was_done_googles_words_and_a_cause(world: World, bucket: CloudBucket) -> None:
    bucket.create()
    words = "ann does not have storage.buckets.get access"
    world.state.fault(r"GET storage/storage/v1/b/", status=403, message=words, times=9)
    with pytest.raises(RunFailed) as caught:
        bucket.found()
    said = str(caught.value.message)
    assert said.startswith(f"look at gs://{NAME}: ")
    assert words in said
    assert "likely cause: " in said


def test_an_error_that_is_not_of_the_client_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError), saying("divide"):
        _ = 1 / 0
