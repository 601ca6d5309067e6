"""The docker stand-in says and does what docker does, as far as the pipeline asks it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.server import Server
from fakes.standins import install
from fakes.standins.control import Docker
from fakes.state import Reply, Request, State, Unknown

IMAGE = "us-central1-docker.pkg.dev/demo-project-1/mnist/train:abc"
REAL = shutil.which("docker")


def registry(state: State, request: Request) -> Reply:
    """As much of Artifact Registry as docker talks to."""
    tags = state.of("tags")
    if request.method == "POST" and request.path == "/fake/push":
        tags[f"{request.json['image'].rpartition('/')[2]}/tags/{request.json['tag']}"] = request.json["digest"]
        return Reply.of({})
    if request.method == "GET" and "/packages/" in request.path:
        found = tags.get(request.path.split("/packages/")[1])
        return Reply.of({"version": f"v/{found}"}) if found else Reply.of({}, 404)
    raise Unknown(str(request))


class Machine:
    """A folder with the stand-in, docker's configuration and a context to build."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.bin = folder, folder / "bin"
        install(self.bin, address)
        self.docker = Docker(self.bin)
        self.context = folder / "context"
        self.context.mkdir()
        (self.context / "Dockerfile").write_text("FROM scratch\n")
        (self.context / "main.py").write_text("print(1)\n")
        (folder / "config").mkdir()
        self.log_in()

    def log_in(self, host: str = "us-central1-docker.pkg.dev") -> None:
        (self.folder / "config/config.json").write_text(json.dumps({"credHelpers": {host: "gcloud"}}))

    def run(self, *argv: str, program: str = "") -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], "DOCKER_CONFIG": str(self.folder / "config"), "HOME": str(self.folder),
               "DOCKER_HOST": "unix:///var/run/docker-that-is-not.sock"}  # fmt: skip
        return subprocess.run(
            [program or self.bin / "docker", *argv], env=env, capture_output=True, text=True, check=False
        )

    def build(self, *more: str) -> subprocess.CompletedProcess[str]:
        return self.run("build", "--platform", "linux/amd64", "--tag", IMAGE, *more, str(self.context))


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def machine(tmp_path: Path, state: State) -> Iterator[Machine]:
    server = Server(state, lambda path: ("artifactregistry", path.removeprefix("/artifactregistry")),
                    {"artifactregistry": registry})  # fmt: skip
    yield Machine(tmp_path, server.url)
    server.close()
    assert state.unknown == []


@pytest.mark.timed
def test_it_starts_in_a_moment(machine: Machine) -> None:
    machine.run("version", "--format={{.Server.Version}}")
    began = time.perf_counter()
    for _ in range(5):
        machine.run("version", "--format={{.Server.Version}}")
    assert (time.perf_counter() - began) / 5 < 0.5  # 0.05 on a quiet machine


def test_version_says_the_daemons_version(machine: Machine) -> None:
    done = machine.run("version", "--format={{.Server.Version}}")
    assert (done.returncode, done.stdout) == (0, "28.2.2\n")


def test_version_fails_like_docker_when_the_daemon_is_down(machine: Machine) -> None:
    machine.docker.daemon(up=False)
    done = machine.run("version", "--format={{.Server.Version}}")
    assert (done.returncode, done.stdout) == (1, "\n")
    assert "Cannot connect to the Docker daemon" in done.stderr


def test_a_build_is_noted_with_labels_arguments_and_files(machine: Machine) -> None:
    assert machine.build("--label", "a=b", "--build-arg", "TENSORFLOW=tensorflow").returncode == 0
    [build] = machine.docker.builds
    assert build["tags"] == [IMAGE]
    assert build["labels"] == {"a": "b"}
    assert build["args"] == ["TENSORFLOW=tensorflow"]
    assert build["files"] == ["Dockerfile", "main.py"]


def test_the_digest_follows_the_context_only(machine: Machine) -> None:
    machine.build()
    machine.build("--label", "x=y")
    (machine.context / "main.py").write_text("print(2)\n")
    machine.build()
    first, second, third = (build["digest"] for build in machine.docker.builds)
    assert first == second != third


def test_files_that_dockerignore_names_are_not_sent(machine: Machine) -> None:
    (machine.context / ".dockerignore").write_text("**/__pycache__\ntests\n")
    for folder in ("__pycache__", "tests", "deep/__pycache__"):
        (machine.context / folder).mkdir(parents=True)
        (machine.context / folder / "x.py").write_text("")
    machine.build()
    assert machine.docker.builds[0]["files"] == [".dockerignore", "Dockerfile", "main.py"]


@pytest.mark.parametrize("text", ["-----BEGIN PRIVATE KEY-----", '{"private_key": "x"}'])
def test_a_context_with_a_private_key_is_refused(machine: Machine, text: str) -> None:
    (machine.context / "key.json").write_text(text)
    done = machine.build()
    assert done.returncode == 1
    assert "key.json in the build context looks like a private key" in done.stderr
    assert machine.docker.builds == []


def test_a_push_reaches_the_registry(machine: Machine, state: State) -> None:
    machine.build()
    done = machine.run("push", IMAGE)
    assert done.returncode == 0, done.stderr
    assert state.of("tags") == {"train/tags/abc": machine.docker.builds[0]["digest"]}
    assert machine.docker.pushes == [IMAGE]


def test_a_push_of_what_was_not_built_fails(machine: Machine) -> None:
    done = machine.run("push", IMAGE)
    assert done.returncode == 1
    assert "An image does not exist locally with the tag: us-central1-docker.pkg.dev" in done.stderr


def test_a_push_without_a_credential_helper_is_denied(machine: Machine, state: State) -> None:
    machine.log_in("gcr.io")
    machine.build()
    done = machine.run("push", IMAGE)
    assert done.returncode == 1
    assert 'denied: Permission "artifactregistry.repositories.uploadArtifacts" denied' in done.stderr
    assert state.writes == []


@pytest.mark.parametrize(
    ("status", "says"),
    [(403, "uploadArtifacts"), (404, 'name unknown: Repository "mnist" not found'), (503, "503 Service Unavailable")],
)
def test_the_registrys_refusals_are_told_in_dockers_words(
    machine: Machine, state: State, status: int, says: str
) -> None:
    state.fault("POST artifactregistry/fake/push", status=status)
    machine.build()
    done = machine.run("push", IMAGE)
    assert done.returncode == 1
    assert says in done.stderr
    assert machine.run("push", IMAGE).returncode == 0


def test_a_push_killed_midway_leaves_no_tag(machine: Machine, state: State) -> None:
    machine.build()
    machine.docker.fail("push midway", kill=True)
    assert machine.run("push", IMAGE).returncode == -9
    assert state.of("tags") == {}
    assert machine.run("push", IMAGE).returncode == 0


def test_a_fault_comes_as_often_as_asked_after_as_many_as_let_through(machine: Machine) -> None:
    machine.docker.fail("build", stderr="no space left on device", skip=1, times=2)
    assert [machine.build().returncode for _ in range(4)] == [0, 1, 1, 0]


def test_image_inspect_shows_labels_and_after_a_push_the_digest(machine: Machine) -> None:
    machine.build("--label=a=b")
    machine.run("push", IMAGE)
    [image] = json.loads(machine.run("image", "inspect", IMAGE).stdout)
    assert image["Config"]["Labels"] == {"a": "b"}
    assert image["RepoDigests"] == [f"{IMAGE.rpartition(':')[0]}@{machine.docker.builds[0]['digest']}"]


def test_image_inspect_of_nothing_fails_like_docker(machine: Machine) -> None:
    done = machine.run("image", "inspect", "nothing:1")
    assert (done.returncode, done.stdout.strip()) == (1, "[]")
    assert "No such image: nothing:1" in done.stderr


def test_manifest_inspect_asks_the_registry(machine: Machine) -> None:
    assert "no such manifest" in machine.run("manifest", "inspect", IMAGE).stderr
    machine.build()
    machine.run("push", IMAGE)
    assert machine.docker.builds[0]["digest"] in machine.run("manifest", "inspect", IMAGE).stdout


def test_run_takes_only_what_was_built_and_notes_it(machine: Machine) -> None:
    assert machine.run("run", "--rm", IMAGE).returncode == 125
    machine.build()
    done = machine.run("run", "--rm", IMAGE, "python", "-m", "trainer", "--help")
    assert (done.returncode, done.stdout) == (0, "would run: python -m trainer --help\n")
    assert machine.docker.runs == [["run", "--rm", IMAGE, "python", "-m", "trainer", "--help"]]


WRONG = [
    ("nonsense",),
    ("push", "--nonsense", "x"),
    ("push",),
    ("build", "/no/such/folder"),
    ("image", "inspect", "-z", "x"),
]


@pytest.mark.parametrize("argv", WRONG, ids=" ".join)
@pytest.mark.skipif(REAL is None, reason="docker's client is not installed")
def test_what_docker_refuses_is_refused_with_the_same_code(machine: Machine, argv: tuple[str, ...]) -> None:
    theirs, ours = machine.run(*argv, program=REAL or ""), machine.run(*argv)
    assert ours.returncode == theirs.returncode != 0
    assert ours.stderr.split("\n")[0] in theirs.stderr


def test_ten_builds_at_once_are_all_noted(machine: Machine) -> None:
    argv = [machine.bin / "docker", "build", "--tag", IMAGE, str(machine.context)]
    running = [subprocess.Popen(argv, stdout=subprocess.DEVNULL) for _ in range(10)]
    assert [process.wait() for process in running] == [0] * 10
    assert len(machine.docker.builds) == 10


def test_the_program_needs_nothing_but_python(machine: Machine) -> None:
    assert (machine.bin / "docker").read_text().startswith(f"#!{sys.executable} -SE\n")
