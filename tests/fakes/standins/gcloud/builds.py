"""gcloud builds: a folder is packed, uploaded and built by Cloud Build."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time

from fakes.standins.context import Context
from fakes.standins.context import Refused as NotBuilt
from fakes.standins.gcloud.cloud import Cloud, Failed, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

RUNNING = ("STATUS_UNKNOWN", "PENDING", "QUEUED", "WORKING")


def submit(cloud: Cloud, options: Options, folder: str) -> Json:
    """Upload and build; ends when the build has, with Failed if that has failed."""
    build = {**recipe(options), "source": {"storageSource": upload(cloud, options, folder)}}
    where = f"/v1/projects/{cloud.project}/locations/{options.one('region', 'global')}/builds"
    operation = cloud.ask("cloudbuild", "POST", where, build)
    made = operation["metadata"]["build"]
    say(f"Created [{where}/{made['id']}].")
    while made["status"] in RUNNING and not options.has("async"):
        time.sleep(0.02)
        made = cloud.ask("cloudbuild", "GET", f"{where}/{made['id']}")
    if made["status"] not in (*RUNNING, "SUCCESS"):
        raise Failed(f'build {made["id"]} completed with status "{made["status"]}"')
    return made


def recipe(options: Options) -> Json:
    """The steps: of the build file, or one docker build for --tag."""
    if options.has("config"):
        try:
            with open(options.one("config")) as file:  # noqa: PTH123 - pathlib costs a tenth of the start
                return dict(json.load(file))
        except OSError as error:
            raise Failed(f"Unable to read file [{options.one('config')}]: {error}") from None
    if not options.has("tag"):
        raise Failed("the stand-in wants --tag or --config with JSON")
    argv = ["build", "--network", "cloudbuild", "--no-cache", "-t", options.one("tag"), "."]
    return {"steps": [{"name": "gcr.io/cloud-builders/docker", "args": argv}], "images": [options.one("tag")]}


def upload(cloud: Cloud, options: Options, folder: str) -> Json:
    """Pack the folder and put it below --gcs-source-staging-dir; where it then is."""
    staging = options.one("gcs-source-staging-dir", f"gs://{cloud.project}_cloudbuild/source")
    bucket, _, prefix = staging.removeprefix("gs://").partition("/")
    name = f"{prefix}/{time.time():.6f}-{os.getpid():032x}.tgz".lstrip("/")
    try:
        names = Context(folder).names
    except NotBuilt as refused:
        raise Failed(str(refused)) from None
    cloud.ask("storage", "GET", f"/storage/v1/b/{bucket}", style="storage")
    path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name.replace('/', '%2F')}"
    made = cloud.ask("storage", "POST", path, packed(folder, names), style="storage", content="application/x-tar")
    return {"bucket": bucket, "object": name, "generation": made["generation"]}


def packed(folder: str, names: list[str]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", compresslevel=1) as archive:
        for name in names:
            archive.add(os.path.join(folder, name), name)  # noqa: PTH118
    return data.getvalue()


def describe(cloud: Cloud, options: Options, build: str) -> Json:
    where = f"/v1/projects/{cloud.project}/locations/{options.one('region', 'global')}/builds"
    return cloud.ask("cloudbuild", "GET", f"{where}/{build}")


COMMANDS = {
    "builds submit": (
        submit,
        "[SOURCE]",
        "tag config region gcs-source-staging-dir timeout machine-type service-account substitutions",
        "suppress-logs async",
    ),
    "builds describe": (describe, "BUILD", "region", ""),
}
