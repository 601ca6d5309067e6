"""docker without a daemon: notes builds and runs down, and pushes to the fake of Artifact Registry."""

from __future__ import annotations

import json
import os
import sys

from fakes.standins.arguments import Bad, Options, parse
from fakes.standins.context import Context, Refused
from fakes.standins.memory import REASONS, Failed, Memory, meet, read
from fakes.standins.wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DENIED = (
    'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied on resource "{}" (or it may not exist)'
)


class Docker(Memory):
    """One call: what was noted before, and the fake registry."""

    def __init__(self, folder: str, google: str) -> None:
        super().__init__(folder)
        self.registry = Wire(google)


def version(docker: Docker, options: Options, argv: list[str]) -> None:
    """`docker version`; with the daemon down it prints an empty line first, as the real one does."""
    try:
        docker.needs_daemon()
    except Failed:
        print()
        raise
    told = {"Client": {"Version": "28.2.2"}, "Server": {"Version": "28.2.2"}}
    wanted = options.one("format", "json")
    known = {"json": json.dumps(told), "{{json .}}": json.dumps(told), "{{.Server.Version}}": "28.2.2",
             "{{.Client.Version}}": "28.2.2"}  # fmt: skip
    if wanted not in known:
        raise Failed(f"the stand-in does not know --format={wanted}", 64)
    print(known[wanted])


def build(docker: Docker, options: Options, argv: list[str]) -> None:
    """`docker build`: the digest is a hash of the context, the build arguments and the platform."""
    if len(options.words) != 1:
        raise Failed("docker: 'docker build' requires 1 argument")
    try:
        context = Context(options.words[0], options.one("file"))
    except Refused as refused:
        raise Failed(str(refused)) from None
    docker.needs_daemon()
    made_of = [context.digest, sorted(options.all("build-arg")), options.one("platform")]
    digest = "sha256:" + context.hash(json.dumps(made_of).encode())
    labels = dict(label.split("=", 1) for label in options.all("label"))
    entry = {"argv": argv, "tags": options.all("tag"), "labels": labels, "platform": options.one("platform"),
             "args": options.all("build-arg"), "files": context.names, "context": context.digest,
             "digest": digest}  # fmt: skip

    def remember(memory: dict[str, Any]) -> None:
        memory["builds"].append(entry)
        for tag in options.all("tag"):
            memory["images"][with_tag(tag)] = {"digest": digest, "labels": labels, "pushed": False}

    docker.note(remember)
    print(digest if options.has("quiet") else f"Successfully built {digest[7:19]}")


def push(docker: Docker, options: Options, argv: list[str]) -> None:
    """`docker push`: needs the image here, a way to log in to its registry, and the registry's consent."""
    if len(options.words) != 1:
        raise Failed("docker: 'docker push' requires 1 argument")
    docker.needs_daemon()
    reference = with_tag(options.words[0])
    name, _, tag = reference.rpartition(":")
    print(f"The push refers to repository [{name}]")
    image = docker.image(reference)
    if image is None:
        raise Failed(f"An image does not exist locally with the tag: {name}")
    may_log_in(name)
    broken = docker.fault("push midway")
    print("5f70bf18a086: Pushed", flush=True)
    if broken:
        meet(broken)
    answer = docker.registry.ask("POST", "/artifactregistry/fake/push",
                                 {"image": name, "tag": tag, "digest": image["digest"]})  # fmt: skip
    if not answer.ok:
        raise Failed(refusal(answer.status, name))

    def remember(memory: dict[str, Any]) -> None:
        memory["images"][reference]["pushed"] = True
        memory["pushes"].append(reference)

    docker.note(remember)
    print(f"{tag}: digest: {image['digest']} size: 1234")


def may_log_in(name: str) -> None:
    """Raises Failed unless docker's configuration says who helps to log in to the image's registry."""
    host = name.split("/")[0]
    config = read(os.environ.get("DOCKER_CONFIG", os.path.expanduser("~/.docker")) + "/config.json")  # noqa: PTH111
    if host not in {**config.get("credHelpers", {}), **config.get("auths", {})} and not config.get("credsStore"):
        raise Failed(DENIED.format(resource(name)))


def refusal(status: int, name: str) -> str:
    """What docker prints when the registry answers with an error."""
    words = {401: "unauthorized: authentication failed", 403: DENIED.format(resource(name)),
             404: f'name unknown: Repository "{name.split("/")[2]}" not found',
             429: "toomanyrequests: Quota exceeded"}  # fmt: skip
    return words.get(status, f"received unexpected HTTP status: {status} " + REASONS.get(status, "Error"))


def resource(name: str) -> str:
    """`R-docker.pkg.dev/P/N/train` as Artifact Registry names its repository in messages."""
    host, project, repository = [*name.split("/"), "", ""][:3]
    return f"projects/{project}/locations/{host.partition('-docker.pkg.dev')[0]}/repositories/{repository}"


def run(docker: Docker, options: Options, argv: list[str]) -> None:
    """`docker run`: shows what would run; the image must have been built here."""
    if not options.words:
        raise Failed("docker: 'docker run' requires at least 1 argument", 125)
    docker.needs_daemon()
    reference, *command = options.words
    if docker.image(with_tag(reference)) is None:
        missing = f"Unable to find image '{with_tag(reference)}' locally\ndocker: Error response from daemon: not found"
        raise Failed(missing, 125)
    docker.note(lambda memory: memory["runs"].append(argv))
    print("would run:", *(command or ["the image's own command"]))


def inspect(docker: Docker, options: Options, argv: list[str]) -> None:
    """`docker image inspect`."""
    docker.needs_daemon()
    found = [
        image_object(reference, image) for reference in options.words if (image := docker.image(with_tag(reference)))
    ]
    wanted = options.one("format")
    if wanted not in ("", "json", "{{json .}}", "{{.Id}}", "{{index .RepoDigests 0}}"):
        raise Failed(f"the stand-in does not know --format={wanted}", 64)
    if wanted.startswith("{{."):
        print("\n".join(image["Id"] for image in found))
    elif wanted.startswith("{{index"):
        print("\n".join(image["RepoDigests"][0] for image in found if image["RepoDigests"]))
    else:
        print(json.dumps(found, indent=4))
    if len(found) < len(options.words):
        raise Failed(f"Error response from daemon: No such image: {options.words[0]}")


def image_object(reference: str, image: dict[str, Any]) -> dict[str, Any]:
    name, _, tag = with_tag(reference).rpartition(":")
    digests = [f"{name}@{image['digest']}"] if image["pushed"] else []
    return {"Id": image["digest"], "RepoTags": [f"{name}:{tag}"], "RepoDigests": digests,
            "Architecture": "amd64", "Os": "linux", "Config": {"Labels": image["labels"]}}  # fmt: skip


def manifest(docker: Docker, options: Options, argv: list[str]) -> None:
    """`docker manifest inspect`: asks the registry whether it has the tag."""
    reference = with_tag(options.words[-1])
    name, _, tag = reference.rpartition(":")
    may_log_in(name)
    path = f"/artifactregistry/v1/{resource(name)}/packages/{name.split('/', 3)[-1].replace('/', '%2F')}/tags/{tag}"
    answer = docker.registry.ask("GET", path)
    if answer.status == 404:
        raise Failed(f"no such manifest: {reference}")
    if not answer.ok:
        raise Failed(refusal(answer.status, name))
    digest = answer.json["version"].rpartition("/")[2]
    print(json.dumps({"schemaVersion": 2, "config": {"digest": digest}}, indent=1))


def with_tag(reference: str) -> str:
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


COMMANDS = {
    "version": (version, "format", "", "f=format", None),
    "build": (build, "tag platform label build-arg file network progress cache-from target iidfile",
              "quiet pull no-cache rm provenance load", "t=tag f=file q=quiet", None),
    "push": (push, "", "quiet all-tags", "q=quiet", None),
    "run": (run, "name network env env-file volume workdir entrypoint user platform publish mount tmpfs memory cpus "
            "pull cap-drop security-opt", "rm interactive tty init detach read-only",
            "e=env v=volume w=workdir u=user p=publish i=interactive t=tty d=detach m=memory", 0),
    "image inspect": (inspect, "format", "", "f=format", None),
    "manifest inspect": (manifest, "", "verbose insecure", "v=verbose", None),
}  # fmt: skip


def main(argv: list[str], folder: str, google: str) -> int:
    """Perform one docker command line; the exit code is the real one's."""
    count = 2 if argv[:1] in (["image"], ["manifest"]) else 1
    name = " ".join(argv[:count])
    if name not in COMMANDS:
        print(f"docker: unknown command: docker {name}\n\nRun 'docker --help' for more information", file=sys.stderr)
        return 1
    act, *flags = COMMANDS[name]
    docker = Docker(folder, google)
    try:
        options = parse(argv[count:], *flags)
        meet(docker.fault(name))
        act(docker, options, argv)
    except Bad as bad:
        print(f"{bad}\n\nUsage:  docker {name} [OPTIONS]\n\nRun 'docker {name} --help'", file=sys.stderr)
        return 125
    except OSError as error:
        print(f"Error response from daemon: dial tcp {docker.registry.host}: {error}", file=sys.stderr)
        return 1
    except Failed as failed:
        print(failed, file=sys.stderr)
        return failed.code
    return 0
