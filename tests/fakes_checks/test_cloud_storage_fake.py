"""Cloud Storage's fake against google-cloud-storage: buckets, versions, preconditions, and other people's buckets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth import credentials
from google.cloud import storage

from fakes.world import World

NAME = "demo-project-1-mnist-bucket"
MARKS = {"managed-by": "kubeflow-mnist-pipeline", "part-of": "mnist", "environment": "staging"}


class Token(credentials.Credentials):
    """A token that is asked for once and again after a 401, as the pipeline asks gcloud."""

    asked = 0

    def refresh(self, request: object) -> None:
        self.asked += 1
        self.token = f"token-{self.asked}"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as made:
        yield made
        assert made.state.unknown == []


@pytest.fixture
def client(world: World) -> storage.Client:
    options = ClientOptions(api_endpoint=f"{world.api_address}/storage")
    return storage.Client(world.project, Token(), client_options=options)


@pytest.fixture
def bucket(client: storage.Client) -> storage.Bucket:
    return made(client)


def made(client: storage.Client) -> storage.Bucket:
    """A bucket as the pipeline makes it."""
    bucket = client.bucket(NAME)
    bucket.labels = MARKS
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.iam_configuration.public_access_prevention = "enforced"
    bucket.soft_delete_policy.retention_duration_seconds = 0
    return client.create_bucket(bucket, location="us-central1")


def test_bucket_that_is_not_there_is_none(client: storage.Client) -> None:
    assert client.lookup_bucket(NAME) is None


def test_bucket_keeps_what_it_was_made_with(client: storage.Client, bucket: storage.Bucket) -> None:
    found = client.get_bucket(NAME)
    assert found.labels == MARKS
    assert found.location == "US-CENTRAL1"
    assert found.iam_configuration.public_access_prevention == "enforced"
    assert found.soft_delete_policy.retention_duration_seconds == 0


def test_bucket_of_ours_cannot_be_made_twice(client: storage.Client, bucket: storage.Bucket) -> None:
    with pytest.raises(exceptions.Conflict, match="and you already own it"):
        made(client)


def test_bucket_of_another_owner_cannot_be_made(world: World, client: storage.Client) -> None:
    world.add_bucket(NAME, ours=False)
    with pytest.raises(exceptions.Conflict, match="The requested bucket name is not available"):
        made(client)


def test_bucket_of_another_owner_cannot_be_looked_at(world: World, client: storage.Client) -> None:
    world.add_bucket(NAME, ours=False)
    with pytest.raises(exceptions.Forbidden, match=r"storage\.buckets\.get"):
        client.lookup_bucket(NAME)


def test_labels_change_one_by_one(client: storage.Client, bucket: storage.Bucket) -> None:
    bucket.labels = {**bucket.labels, "more": "1"}
    bucket.patch()
    assert client.get_bucket(NAME).labels == {**MARKS, "more": "1"}


def test_versions_are_the_folders_of_export(world: World, client: storage.Client, bucket: storage.Bucket) -> None:
    for name in ("export/1763900000/saved_model.pb", "export/1763900000/variables/v", "export/1763900001/x", "1/x"):
        bucket.blob(name).upload_from_string(b"x")
    listing = client.list_blobs(NAME, prefix="export/", delimiter="/")
    assert list(listing) == []
    assert listing.prefixes == {"export/1763900000/", "export/1763900001/"}


def test_list_goes_over_pages_in_order(client: storage.Client, bucket: storage.Bucket) -> None:
    for number in range(5):
        bucket.blob(f"a/{number}").upload_from_string(b"x")
    assert [blob.name for blob in client.list_blobs(NAME, page_size=2)] == [f"a/{number}" for number in range(5)]


@pytest.mark.parametrize("data", [b"", b"line\r\n", b"\n\n--x\r\n\r\n", bytes(range(256))])
def test_bytes_come_back_as_they_went(bucket: storage.Bucket, data: bytes) -> None:
    bucket.blob("x").upload_from_string(data, content_type="application/x-protobuf")
    found = bucket.get_blob("x")
    assert (found.download_as_bytes(), found.content_type) == (data, "application/x-protobuf")


def test_large_file_goes_up_and_down_in_pieces(bucket: storage.Bucket, tmp_path: Path) -> None:
    data = os.urandom(700_000)
    (tmp_path / "large").write_bytes(data)
    bucket.blob("large", chunk_size=256 * 1024).upload_from_filename(str(tmp_path / "large"))
    found = bucket.blob("large", chunk_size=256 * 1024)
    assert found.download_as_bytes() == data
    assert found.download_as_bytes(start=10, end=19) == data[10:20]


def test_object_that_is_not_there_is_not_found(bucket: storage.Bucket) -> None:
    with pytest.raises(exceptions.NotFound, match=f"No such object: {NAME}/nothing"):
        bucket.blob("nothing").download_as_bytes()


def test_object_is_gone_once_it_is_deleted(bucket: storage.Bucket) -> None:
    bucket.blob("x").upload_from_string(b"x")
    bucket.delete_blob("x")
    assert bucket.get_blob("x") is None


def test_write_over_a_generation_succeeds_only_over_that_one(bucket: storage.Bucket) -> None:
    blob = bucket.blob("promoted")
    blob.upload_from_string(b"1", if_generation_match=0)
    first = blob.generation
    blob.upload_from_string(b"2", if_generation_match=first)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_string(b"3", if_generation_match=first)
    assert bucket.blob("promoted").download_as_bytes() == b"2"


def test_write_of_what_must_not_be_there_fails_if_it_is(bucket: storage.Bucket) -> None:
    bucket.blob("lock").upload_from_string(b"mine", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("lock").upload_from_string(b"yours", if_generation_match=0)


def test_delete_of_a_generation_that_was_written_over_fails(bucket: storage.Bucket) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"1")
    first = blob.generation
    blob.upload_from_string(b"2")
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("x").delete(if_generation_match=first)


def test_copy_holds_the_same_bytes(bucket: storage.Bucket) -> None:
    bucket.blob("x").upload_from_string(b"bytes")
    bucket.copy_blob(bucket.blob("x"), bucket, "y")
    assert bucket.blob("y").download_as_bytes() == b"bytes"


def test_policy_written_over_a_newer_one_is_refused(bucket: storage.Bucket) -> None:
    old, new = (bucket.get_iam_policy(requested_policy_version=3) for _ in range(2))
    for policy in (new, old):
        policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"user:ann@example.org"}})
    bucket.set_iam_policy(new)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.set_iam_policy(old)


def test_bucket_with_objects_cannot_be_deleted(bucket: storage.Bucket) -> None:
    bucket.blob("x").upload_from_string(b"x")
    with pytest.raises(exceptions.Conflict, match="not empty"):
        bucket.delete()


def test_bucket_and_all_in_it_can_be_deleted(world: World, client: storage.Client, bucket: storage.Bucket) -> None:
    for number in range(3):
        bucket.blob(f"{number}").upload_from_string(b"x")
    bucket.delete_blobs(list(client.list_blobs(NAME)))
    bucket.delete()
    assert world.summary() == []


def test_token_that_expired_is_asked_for_again(world: World, client: storage.Client, bucket: storage.Bucket) -> None:
    world.state.of("expired tokens")["token-1"] = True
    bucket.blob("x").upload_from_string(b"x")
    assert world.objects(NAME) == {"x": b"x"}


def test_server_error_is_tried_again(world: World, bucket: storage.Bucket) -> None:
    fault = world.state.fault(r"GET storage/storage/v1/b/.*/o/x", status=503)
    assert bucket.get_blob("x") is None
    assert fault.times == 0


def test_uploaded_folder_is_what_the_client_lists(world: World, client: storage.Client, tmp_path: Path) -> None:
    (tmp_path / "m" / "variables").mkdir(parents=True)
    (tmp_path / "m" / "variables" / "v").write_bytes(b"1")
    world.add_bucket(NAME)
    world.upload_folder(NAME, "export/1", tmp_path / "m")
    assert [blob.name for blob in client.list_blobs(NAME)] == ["export/1/variables/v"]
