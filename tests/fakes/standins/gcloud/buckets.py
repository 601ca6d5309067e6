"""gcloud storage: for looking at buckets; the pipeline itself uses google-cloud-storage."""

from __future__ import annotations

from fakes.standins.gcloud.cloud import Cloud, Failed, Refused, error_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]


def describe(cloud: Cloud, options: Options, url: str) -> Json:
    name = url.removeprefix("gs://").rstrip("/")
    found = bucket(cloud, name)
    return {**{key: found[key] for key in ("name", "location", "labels", "metageneration") if key in found},
            "storage_url": f"gs://{name}/"}  # fmt: skip


def bucket(cloud: Cloud, name: str) -> Json:
    answer = cloud.send("storage", "GET", f"/storage/v1/b/{name}?projection=full")
    if answer.status == 404:
        raise Failed(f"gs://{name} not found: 404.")
    if not answer.ok:
        raise Failed(f"HTTPError {answer.status}: {error_of(answer).get('message', '')}")
    return dict(answer.json)


def objects(cloud: Cloud, name: str, prefix: str, delimiter: str = "") -> Json:
    path = f"/storage/v1/b/{name}/o?prefix={prefix.replace('/', '%2F')}" + (
        f"&delimiter={delimiter}" if delimiter else ""
    )
    try:
        return cloud.ask("storage", "GET", path, style="storage")
    except Refused as refused:
        if refused.status == 404:
            raise Failed(f"gs://{name} not found: 404.") from None
        raise


def ls(cloud: Cloud, options: Options, url: str) -> str | None:
    """Names, one a line: what lies in the folder, or below it with --recursive."""
    name, _, prefix = url.removeprefix("gs://").partition("/")
    found = objects(cloud, name, prefix.rstrip("*"), "" if options.has("recursive") else "%2F")
    lines = [f"gs://{name}/{one['name']}" for one in found.get("items", [])]
    lines += [f"gs://{name}/{one}" for one in found.get("prefixes", [])]
    if not lines and prefix:
        raise Failed("One or more URLs matched no objects.")
    return "\n".join(sorted(lines)) or None


def cat(cloud: Cloud, options: Options, url: str) -> str:
    name, _, path = url.removeprefix("gs://").partition("/")
    answer = cloud.send("storage", "GET", f"/storage/v1/b/{name}/o/{path.replace('/', '%2F')}?alt=media")
    if not answer.ok:
        raise Failed("The following URLs matched no objects or files:\n" + url)
    return answer.body.decode()


COMMANDS = {
    "storage buckets describe": (describe, "URL", "", ""),
    "storage ls": (ls, "URL", "", "recursive long"),
    "storage cat": (cat, "URL", "", ""),
}
