"""gcloud artifacts: repositories and the docker images in them."""

from __future__ import annotations

from fakes.standins.gcloud.cloud import Cloud, Failed, Refused, pairs, say, without_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

API = "artifactregistry"
NOT_FOUND = """Image not found.

A valid container image can be referenced by tag or digest, has the format of
  LOCATION-docker.DOMAIN/PROJECT-ID/REPOSITORY-ID/IMAGE:tag
  LOCATION-docker.DOMAIN/PROJECT-ID/REPOSITORY-ID/IMAGE@sha256:digest
"""


def place(cloud: Cloud, options: Options, name: str = "") -> str:
    where = f"/v1/projects/{cloud.project}/locations/{options.one('location')}/repositories"
    return f"{where}/{name}" if name else where


def describe(cloud: Cloud, options: Options, name: str) -> Json:
    return cloud.ask(API, "GET", place(cloud, options, name))


def listed(cloud: Cloud, options: Options) -> list[Json]:
    return list(cloud.ask(API, "GET", place(cloud, options)).get("repositories", []))


def create(cloud: Cloud, options: Options, name: str) -> None:
    body = {"format": options.one("repository-format").upper(), "description": options.one("description"),
            "labels": pairs(options.one("labels")), "mode": "MODE_UNSPECIFIED"}  # fmt: skip
    path = f"{place(cloud, options)}?repositoryId={name}"
    operation = cloud.ask(API, "POST", path, {key: value for key, value in body.items() if value})
    cloud.finish(API, operation, f"/v1/{operation['name']}")
    say(f"Created repository [{name}].")


def delete(cloud: Cloud, options: Options, name: str) -> None:
    operation = cloud.ask(API, "DELETE", place(cloud, options, name))
    cloud.finish(API, operation, f"/v1/{operation['name']}")
    say(f"Deleted repository [{name}].")


def get_policy(cloud: Cloud, options: Options, name: str) -> Json:
    return without_nothing(cloud.ask(API, "GET", f"{place(cloud, options, name)}:getIamPolicy"))


def bind(cloud: Cloud, options: Options, name: str) -> Json:
    policy = cloud.bind(API, place(cloud, options, name), "GET", options)
    say(f"Updated IAM policy for repository [{name}].")
    return policy


def unbind(cloud: Cloud, options: Options, name: str) -> Json:
    policy = cloud.bind(API, place(cloud, options, name), "GET", options, take=True)
    say(f"Updated IAM policy for repository [{name}].")
    return policy


def parts(image: str) -> tuple[str, str, str, str]:
    """`R-docker.pkg.dev/P/N/NAME`: the host, the repository's path, its name and the image's own."""
    host, project, name, *rest = [*image.split("/", 3), "", ""][:4]
    if not host.endswith("-docker.pkg.dev") or not name:
        raise Failed("Invalid Docker string.")
    where = f"/v1/projects/{project}/locations/{host.removesuffix('-docker.pkg.dev')}/repositories/{name}"
    return host, where, name, "".join(rest)


def describe_image(cloud: Cloud, options: Options, image: str) -> Json:
    """Asks for the repository, then for the tag or the digest, as the real one does."""
    host, repository, name, package = parts(image)
    by_digest = "@" in package
    package, _, version = package.partition("@" if by_digest else ":")
    cloud.ask(API, "GET", repository)
    where = f"{repository}/packages/{package.replace('/', '%2F')}"
    try:
        path = f"{where}/versions/{version}" if by_digest else f"{where}/tags/{version or 'latest'}"
        answer = cloud.ask(API, "GET", path)
    except Refused as refused:
        raise (Failed(NOT_FOUND) if refused.status == 404 else refused) from None
    digest = version if by_digest else answer["version"].rpartition("/")[2]
    whole = f"{image.split('@')[0].rpartition('/')[0]}/{package}@{digest}"
    return {"image_summary": {"digest": digest, "fully_qualified_digest": whole, "registry": host, "repository": name}}


def images(cloud: Cloud, options: Options, path: str) -> list[Json]:
    """Every image of a repository, or the versions of one image."""
    _, repository, _, package = parts(path)
    cloud.ask(API, "GET", repository)
    found = cloud.ask(API, "GET", f"{repository}/dockerImages").get("dockerImages", [])
    listed = [entry(one, options.has("include-tags")) for one in found]
    return [one for one in listed if not package or one["package"] == path]


def entry(image: Json, with_tags: bool) -> Json:
    package, _, digest = image["uri"].partition("@")
    tags = {"tags": image.get("tags", [])} if with_tags else {"tags": []}
    metadata = {key: image[key] for key in ("buildTime", "imageSizeBytes", "mediaType", "name") if key in image}
    return {"package": package, "version": digest, "createTime": image["uploadTime"],
            "updateTime": image["updateTime"], "metadata": metadata, **tags}  # fmt: skip


COMMANDS = {
    "artifacts repositories describe": (describe, "REPOSITORY", "location", ""),
    "artifacts repositories list": (listed, "", "location", ""),
    "artifacts repositories create": (create, "REPOSITORY", "location repository-format labels description", "async"),
    "artifacts repositories delete": (delete, "REPOSITORY", "location", "async"),
    "artifacts repositories get-iam-policy": (get_policy, "REPOSITORY", "location", ""),
    "artifacts repositories add-iam-policy-binding": (bind, "REPOSITORY", "location member role condition", ""),
    "artifacts repositories remove-iam-policy-binding": (unbind, "REPOSITORY", "location member role condition", "all"),
    "artifacts docker images describe": (describe_image, "IMAGE", "", ""),
    "artifacts docker images list": (images, "IMAGE_PATH", "", "include-tags"),
}
