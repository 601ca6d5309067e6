"""Where things are kept: the registry of the images, the bucket, and who may do what with it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from pipeline import storage
from pipeline.answering import Say
from pipeline.cloud.accounts import account, email
from pipeline.cloud.asking import ask, change, undo
from pipeline.cloudstorage import ROLES, CloudBucket
from pipeline.commands import Call, Probe
from pipeline.errors import PipelineError
from pipeline.resources import Resource
from pipeline.settings import Settings
from pipeline.tools import labels


def registry(settings: Settings) -> Resource:
    """Artifact Registry's repository: everything built for the environment."""
    at, what = f"--location={settings.gcp.region}", f"the image registry {settings.registry}"
    marks = ",".join(f"{key}={value}" for key, value in labels(settings).items())
    return Resource(
        what,
        ask(settings, "artifacts", "repositories", "describe", settings.name, at, doing=f"look for {what}"),
        (
            change(
                settings, "artifacts", "repositories", "create", settings.name, "--repository-format=docker", at,
                f"--labels={marks}", doing=f"create {what}", makes="registry",
            ),
        ),
        (undo(settings, "artifacts", "repositories", "delete", settings.name, at, doing=f"delete {what}"),),
        lambda found: found.get("labels"),
    )  # fmt: skip


def bucket(settings: Settings) -> Resource:
    """The bucket, by google-cloud-storage: one request makes it with its labels, which gcloud needs two for."""
    what = f"the bucket {settings.bucket}"
    return Resource(
        what,
        Probe(f"look for {what}", partial(found_in, settings)),
        (Call(f"create {what} in {settings.gcp.region}", partial(make_bucket, settings), makes="bucket"),),
        (Call(f"delete {what} with all versions and checkpoints", partial(delete_bucket, settings)),),
        lambda found: found["labels"],
    )


def cloud_bucket(settings: Settings) -> CloudBucket:
    """The environment's bucket where it is in Cloud Storage; PipelineError where it is a folder."""
    found = storage.of(settings)
    if not isinstance(found, CloudBucket):
        raise PipelineError(f"storage.kind: {settings.storage.kind} cannot be reached from a cluster; write gcs")
    return found


def found_in(settings: Settings) -> dict[str, Any] | None:
    there = cloud_bucket(settings).found()
    return None if there is None else {"labels": there}


def make_bucket(settings: Settings, show: Say) -> None:
    cloud_bucket(settings).create()


def delete_bucket(settings: Settings, show: Say) -> None:
    for line in cloud_bucket(settings).delete():
        show(line)


def members(settings: Settings, number: str) -> dict[str, set[str]]:
    """Role on the bucket → members: the two Kubernetes service accounts, or the account whose key the pods carry."""
    if settings.identity == "key-secret":
        return {role: {f"serviceAccount:{email(settings, 'user')}"} for role in ROLES["trainer"]}
    pool = f"principal://iam.googleapis.com/projects/{number}/locations/global/workloadIdentityPools"
    subject = f"{pool}/{settings.gcp.project}.svc.id.goog/subject/ns/{settings.cluster.namespace}/sa"
    wanted: dict[str, set[str]] = {}
    for kind, roles in ROLES.items():
        for role in roles:
            wanted.setdefault(role, set()).add(f"{subject}/{kind}")
    return wanted


def access(settings: Settings, number: str) -> Resource:
    """What the workloads may do with the bucket."""
    wanted = members(settings, number)
    what = f"the workloads' access to {settings.bucket}"
    return Resource(
        what,
        Probe(f"look for {what}", partial(granted, settings, wanted), needs=("bucket",)),
        (Call(f"give {what}", partial(grant, settings, wanted)),),
        (Call(f"take {what}", partial(take, settings, wanted)),),
        within=account(settings, "user") if settings.identity == "key-secret" else None,
    )


def granted(settings: Settings, wanted: Mapping[str, set[str]]) -> bool:
    """Whether the policy of the bucket holds all that is wanted; of one that is not ours it holds nothing."""
    bucket = cloud_bucket(settings)
    if bucket.found() is None or not bucket.ours():
        return False
    there = bucket.granted()
    return all(people <= there.get(role, set()) for role, people in wanted.items())


def grant(settings: Settings, wanted: Mapping[str, set[str]], show: Say) -> None:
    cloud_bucket(settings).grant(wanted)


def take(settings: Settings, wanted: Mapping[str, set[str]], show: Say) -> None:
    cloud_bucket(settings).grant(wanted, take=True)
