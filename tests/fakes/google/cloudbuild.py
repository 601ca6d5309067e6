"""Cloud Build: builds an uploaded source at once, and pushes the image that it names."""

from __future__ import annotations

import hashlib
import io
import tarfile

from fakes.google import artifactregistry
from fakes.google.base import NUMBER, PROJECT, Api, Json, count, found, now
from fakes.google.operations import ask, start
from fakes.state import Request, State

api = Api("cloudbuild", "cloudbuild.googleapis.com", "Cloud Build API")
handle = api.handle

NO_BUCKET = "CLOUD_LOGGING_ONLY"
"""Logs in a bucket gcloud would read from storage.googleapis.com, whatever endpoints it was given."""
FAILURE = 'Build step failure: build step 0 "gcr.io/cloud-builders/docker" failed: step exited with non-zero status: 1'


@api.on("POST /v1/projects/{project}/builds")
def create_anywhere(state: State, request: Request, project: str) -> Json:
    return create(state, request, project, "global")


@api.on("POST /v1/projects/{project}/locations/{location}/builds")
def create(state: State, request: Request, project: str, location: str) -> Json:
    """Build; a test makes the next builds fail by `state.of("failing")["build"] = "why"`."""
    asked = request.json
    source = asked["source"]["storageSource"]
    objects = state.of(f"storage.objects/{source['bucket']}")
    found_source = source["object"] in objects
    number = count(state, "build")
    name = f"{number:08x}-1111-4222-8333-444444444444"
    why = state.of("failing").get("build", "") if found_source else "the source is not in the bucket"
    build = {
        **asked,
        "id": name,
        "name": f"projects/{NUMBER}/locations/{location}/builds/{name}",
        "projectId": PROJECT,
        "status": "FAILURE" if why else "SUCCESS",
        "createTime": now(),
        "startTime": now(),
        "finishTime": now(),
        "logUrl": f"https://console.cloud.google.com/cloud-build/builds;region={location}/{name}?project={NUMBER}",
        "options": {**asked.get("options", {}), "logging": NO_BUCKET},
    }
    if why:
        build |= {"statusDetail": FAILURE, "failureInfo": {"type": "USER_BUILD_STEP", "detail": why}}
    else:
        build["results"] = {"images": [pushed(state, image, source) for image in asked.get("images", [])]}
    state.of("cloudbuild.builds")[name] = build
    kind = "type.googleapis.com/google.devtools.cloudbuild.v1"
    meta = {"@type": f"{kind}.BuildOperationMetadata", "build": {**build, "status": "QUEUED"}}
    error = {"error": {"code": 9, "message": FAILURE}} if why else {"response": {"@type": f"{kind}.Build", **build}}
    return start(state, f"projects/{PROJECT}/locations/{location}/operations/{name}", metadata=meta, **error)


def pushed(state: State, image: str, source: Json) -> Json:
    """Push an image whose digest follows from its name and the files it was built from."""
    reference, _, tag = image.rpartition(":")
    archive = state.of(f"storage.objects/{source['bucket']}")[source["object"]]["data"]
    digest = hashlib.sha256(image.encode())
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in sorted(files.getmembers(), key=lambda one: one.name):
            file = files.extractfile(member) if member.isfile() else None
            digest.update(member.name.encode() + (file.read() if file else b""))
    made = artifactregistry.push(state, reference, tag, f"sha256:{digest.hexdigest()}")
    return {"name": image, "digest": made["digest"]}


@api.on("GET /v1/projects/{project}/locations/{location}/builds/{name}")
def described(state: State, request: Request, project: str, location: str, name: str) -> Json:
    return found(state, "cloudbuild.builds", name, "Requested entity was not found.")


@api.on("GET /v1/projects/{project}/builds/{name}")
def described_anywhere(state: State, request: Request, project: str, name: str) -> Json:
    return found(state, "cloudbuild.builds", name, "Requested entity was not found.")


@api.on("GET /v1/projects/{project}/locations/{location}/operations/{name}")
def operation(state: State, request: Request, project: str, location: str, name: str) -> Json:
    return ask(state, f"projects/{PROJECT}/locations/{location}/operations/{name}")
