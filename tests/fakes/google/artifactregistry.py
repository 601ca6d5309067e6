"""Artifact Registry: repositories for docker images, and the images that docker or Cloud Build pushed there."""

from __future__ import annotations

import hashlib
import re
import urllib.parse

from fakes.google.base import PROJECT, Api, Json, count, exists, found, missing, now
from fakes.google.operations import ask, start
from fakes.google.policies import change_policy, policy
from fakes.state import Request, State

api = Api("artifactregistry", "artifactregistry.googleapis.com", "Artifact Registry API")
handle = api.handle

GONE = "Requested entity was not found."
REPOSITORY = "/v1/projects/{project}/locations/{location}/repositories/{name}"
MEDIA = "application/vnd.docker.distribution.manifest.v2+json"


def full(location: str, name: str) -> str:
    return f"projects/{PROJECT}/locations/{location}/repositories/{name}"


def done(state: State, location: str, kind: str, response: Json) -> Json:
    name = f"projects/{PROJECT}/locations/{location}/operations/{count(state, 'registry operation'):08x}"
    kind = f"type.googleapis.com/{kind}"
    return start(state, name, metadata={}, response={"@type": kind, **response})


@api.on("POST /v1/projects/{project}/locations/{location}/repositories")
def create(state: State, request: Request, project: str, location: str) -> Json:
    name = full(location, request.one("repositoryId"))
    if name in state.of("artifactregistry.repositories"):
        raise exists("the repository already exists")
    times = {"createTime": now(), "updateTime": now()}
    state.of("artifactregistry.repositories")[name] = made = {**request.json, "name": name, **times}
    return done(state, location, "google.devtools.artifactregistry.v1.Repository", made)


@api.on("GET /v1/projects/{project}/locations/{location}/repositories")
def listed(state: State, request: Request, project: str, location: str) -> Json:
    place = f"projects/{PROJECT}/locations/{location}/"
    every = state.of("artifactregistry.repositories").values()
    return {"repositories": [one for one in every if location == "-" or one["name"].startswith(place)]}


@api.on(f"GET {REPOSITORY}")
def described(state: State, request: Request, project: str, location: str, name: str) -> Json:
    return found(state, "artifactregistry.repositories", full(location, name), GONE)


@api.on(f"DELETE {REPOSITORY}")
def delete(state: State, request: Request, project: str, location: str, name: str) -> Json:
    described(state, request, project, location, name)
    repository = full(location, name)
    del state.of("artifactregistry.repositories")[repository]
    state.of("artifactregistry.images").pop(repository, None)
    state.of("policies").pop(repository, None)
    return done(state, location, "google.protobuf.Empty", {})


@api.on(f"GET {REPOSITORY}:getIamPolicy")
def get_policy(state: State, request: Request, project: str, location: str, name: str) -> Json:
    described(state, request, project, location, name)
    return policy(state, full(location, name))


@api.on(f"POST {REPOSITORY}:setIamPolicy")
def set_policy(state: State, request: Request, project: str, location: str, name: str) -> Json:
    described(state, request, project, location, name)
    return change_policy(state, full(location, name), request.json["policy"])


@api.on("GET /v1/projects/{project}/locations/{location}/operations/{name}")
def operation(state: State, request: Request, project: str, location: str, name: str) -> Json:
    return ask(state, f"projects/{PROJECT}/locations/{location}/operations/{name}")


# -- images --------------------------------------------------------------------------------------------------------


def push(state: State, image: str, tag: str, digest: str = "") -> Json:
    """Put an image into its repository, as a docker push or Cloud Build does; moves the tag."""
    match = re.fullmatch(r"([\w-]+)-docker\.pkg\.dev/([^/]+)/([^/]+)/(.+)", image)
    repository = full(match[1], match[3]) if match and match[2] == PROJECT else ""
    if repository not in state.of("artifactregistry.repositories") or not match:
        raise missing(f'name unknown: Repository "{match[3] if match else image}" not found')
    digest = digest or "sha256:" + hashlib.sha256(f"{image}:{tag}".encode()).hexdigest()
    images = state.of("artifactregistry.images").setdefault(repository, {})
    for one in images.values():
        if one["package"] == match[4] and tag in one["tags"]:
            one["tags"].remove(tag)
    new = {"package": match[4], "digest": digest, "uri": f"{image}@{digest}", "tags": [], "time": now()}
    kept = images.setdefault(f"{match[4]}@{digest}", new)
    kept["tags"].append(tag)
    return kept


def pullable(state: State, reference: str) -> bool:
    """Whether a node gets the image: one of this project by digest or tag, and any of another registry."""
    place = rf"([\w-]+)-docker\.pkg\.dev/{PROJECT}/([^/]+)/([^@:]+)(?:@(sha256:\w+)|:([\w.-]+))"
    match = re.fullmatch(place, reference)
    if match is None:
        return True
    location, repository, package, digest, tag = match.groups()
    images = state.of("artifactregistry.images").get(full(location, repository), {})
    return any(one["package"] == package and (one["digest"] == digest or tag in one["tags"]) for one in images.values())


@api.on("POST /fake/push")
def pushed(state: State, request: Request) -> Json:
    """What the docker stand-in sends, {"image": …, "tag": …, "digest": …}; the real registry has another protocol."""
    return push(state, request.json["image"], request.json["tag"], request.json.get("digest", ""))


def images_of(state: State, location: str, name: str) -> dict[str, Json]:
    repository = full(location, name)
    found(state, "artifactregistry.repositories", repository, GONE)
    return state.of("artifactregistry.images").get(repository, {})


def docker_image(repository: str, image: Json) -> Json:
    times = dict.fromkeys(("uploadTime", "buildTime", "updateTime"), image["time"])
    return {"name": f"{repository}/dockerImages/{image['package']}@{image['digest']}", "uri": image["uri"],
            "tags": image["tags"], "imageSizeBytes": "104857600", "mediaType": MEDIA, **times}  # fmt: skip


@api.on(f"GET {REPOSITORY}/dockerImages")
def listed_images(state: State, request: Request, project: str, location: str, name: str) -> Json:
    repository = full(location, name)
    return {"dockerImages": [docker_image(repository, one) for one in images_of(state, location, name).values()]}


@api.on(f"GET {REPOSITORY}/dockerImages/{{image}}")
def described_image(state: State, request: Request, project: str, location: str, name: str, image: str) -> Json:
    images = images_of(state, location, name)
    if image not in images:
        raise missing(GONE)
    return docker_image(full(location, name), images[image])


@api.on(f"GET {REPOSITORY}/packages")
def packages(state: State, request: Request, project: str, location: str, name: str) -> Json:
    names = sorted({one["package"] for one in images_of(state, location, name).values()})
    return {"packages": [{"name": f"{full(location, name)}/packages/{package}"} for package in names]}


def of_package(state: State, location: str, name: str, package: str) -> list[Json]:
    package = urllib.parse.unquote(package)
    return [one for one in images_of(state, location, name).values() if one["package"] == package]


def tag_of(repository: str, image: Json, tag: str) -> Json:
    place = f"{repository}/packages/{urllib.parse.quote(image['package'], safe='')}"
    return {"name": f"{place}/tags/{tag}", "version": f"{place}/versions/{image['digest']}"}


def version_of(repository: str, image: Json) -> Json:
    place = f"{repository}/packages/{urllib.parse.quote(image['package'], safe='')}"
    return {
        "name": f"{place}/versions/{image['digest']}",
        "createTime": image["time"],
        "updateTime": image["time"],
        "relatedTags": [tag_of(repository, image, tag) for tag in image["tags"]],
        "metadata": {**docker_image(repository, image), "name": f"{place}/versions/{image['digest']}"},
    }


@api.on(f"GET {REPOSITORY}/packages/{{package}}/tags")
def tags(state: State, request: Request, project: str, location: str, name: str, package: str) -> Json:
    images = of_package(state, location, name, package)
    return {"tags": [tag_of(full(location, name), image, tag) for image in images for tag in image["tags"]]}


@api.on(f"GET {REPOSITORY}/packages/{{package}}/tags/{{tag}}")
def tag(state: State, request: Request, project: str, location: str, name: str, package: str, tag: str) -> Json:
    for image in of_package(state, location, name, package):
        if tag in image["tags"]:
            return tag_of(full(location, name), image, tag)
    raise missing(GONE)


@api.on(f"GET {REPOSITORY}/packages/{{package}}/versions")
def versions(state: State, request: Request, project: str, location: str, name: str, package: str) -> Json:
    images = of_package(state, location, name, package)
    return {"versions": [version_of(full(location, name), image) for image in images]}


@api.on(f"GET {REPOSITORY}/packages/{{package}}/versions/{{digest=**}}")
def version(state: State, request: Request, project: str, location: str, name: str, package: str, digest: str) -> Json:
    for image in of_package(state, location, name, package):
        if image["digest"] == digest:
            return version_of(full(location, name), image)
    raise missing(GONE)


@api.on(f"DELETE {REPOSITORY}/packages/{{package}}/tags/{{tag}}")
def untag(state: State, request: Request, project: str, location: str, name: str, package: str, tag: str) -> Json:
    for image in of_package(state, location, name, package):
        if tag in image["tags"]:
            image["tags"].remove(tag)
            return {}
    raise missing(GONE)


@api.on(f"DELETE {REPOSITORY}/packages/{{package}}/versions/{{digest=**}}")
def delete_version(
    state: State, request: Request, project: str, location: str, name: str, package: str, digest: str
) -> Json:
    version(state, request, project, location, name, package, digest)
    images = images_of(state, location, name)
    for path in [path for path, one in images.items() if one["digest"] == digest and one["package"] == package]:
        del images[path]
    return done(state, location, "google.protobuf.Empty", {})


@api.on(f"DELETE {REPOSITORY}/packages/{{package}}")
def delete_package(state: State, request: Request, project: str, location: str, name: str, package: str) -> Json:
    images = images_of(state, location, name)
    for path in [path for path, one in images.items() if one["package"] == package]:
        del images[path]
    return done(state, location, "google.protobuf.Empty", {})
