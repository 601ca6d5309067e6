"""Every gcloud, kubectl and docker command line that the code can produce is accepted by the real programs' parsers."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from argvs import every_command
from fakes.world import OPERATOR
from pipeline.commands import Command

ACCEPTED = ("was refused", "connection refused", "Cannot connect to the Docker daemon")
"""How a command ends that was understood and then found nobody to talk to."""

EXPECTED = (
    "gcloud version", "gcloud auth list", "gcloud auth print-access-token", "gcloud projects describe",
    "gcloud billing projects describe", "gcloud services list", "gcloud services enable",
    "gcloud compute zones describe", "gcloud compute regions describe", "gcloud container clusters create ",
    "gcloud container clusters create-auto", "gcloud container clusters describe",
    "gcloud container clusters update", "gcloud container clusters get-credentials",
    "gcloud container clusters delete", "gcloud container node-pools create",
    "gcloud artifacts repositories create", "gcloud artifacts repositories add-iam-policy-binding",
    "gcloud artifacts repositories remove-iam-policy-binding", "gcloud artifacts repositories delete",
    "gcloud artifacts docker images describe", "gcloud builds submit", "gcloud iam service-accounts create",
    "gcloud iam service-accounts delete", "gcloud iam service-accounts keys create",
    "gcloud iam service-accounts keys delete", "gcloud projects add-iam-policy-binding",
    "gcloud projects remove-iam-policy-binding", "gcloud compute addresses create",
    "gcloud compute addresses delete", "gcloud compute forwarding-rules delete", "gcloud compute disks delete",
    "gcloud iap web get-iam-policy", "gcloud iap web add-iam-policy-binding",
    "gcloud iap web remove-iam-policy-binding",
    "gcloud endpoints services deploy", "gcloud endpoints services delete", "kubectl apply", "kubectl diff",
    "kubectl delete", "kubectl get tfjob", "kubectl logs", "kubectl rollout status", "kubectl port-forward",
    "kubectl version", "docker build", "docker push",
)  # fmt: skip
"""What must be among the commands, or this file would show nothing."""

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:9"}}]
users: [{name: u, user: {token: none}}]
contexts: [{name: here, context: {cluster: c, user: u}}]
"""

MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


@pytest.fixture(scope="module")
def commands() -> dict[str, list[Command]]:
    """Every command by its program."""
    found: dict[str, list[Command]] = {}
    for command in every_command().values():
        found.setdefault(command.argv[0], []).append(command)
    return found


def real(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} is not installed")


def test_the_commands_of_every_stage_and_of_clean_are_among_them(commands: dict[str, list[Command]]) -> None:
    lines = [str(command) for some in commands.values() for command in some]
    assert [words for words in EXPECTED if not any(line.startswith(words) for line in lines)] == []


def lint(folder: Path, commands: list[list[str]]) -> list[str]:
    """What gcloud's own linter says is wrong with these; it takes them all at once, and runs none."""
    told = [{"command_string": for_lint(argv), "id": number} for number, argv in enumerate(commands, 1)]
    (folder / "commands.json").write_text(json.dumps(told))
    done = subprocess.run(
        ["gcloud", "meta", "lint-gcloud-commands", f"--commands-file={folder / 'commands.json'}"],
        env={**os.environ, "CLOUDSDK_CONFIG": str(folder), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) == len(commands)
    return [f"{one['command_string']}: {one['error_message']}" for one in results if not one["success"]]


def for_lint(argv: list[str]) -> str:
    """A command line for the linter, which takes the word after a flag without `=` for the flag's value."""
    words = [shlex.quote(word) for word in argv if not word.startswith("--")]
    flags = [word for word in argv if word.startswith("--")]
    for flag in flags:
        name, equals, value = flag.partition("=")
        words.append(f"{name}={shlex.quote(value)}" if equals else name)
    return " ".join(words)


@real("gcloud")
def test_gcloud_accepts_every_command(commands: dict[str, list[Command]], tmp_path: Path) -> None:
    assert lint(tmp_path, [list(command.argv) for command in commands["gcloud"]]) == []


@real("gcloud")
def test_gclouds_linter_refuses_what_is_wrong(tmp_path: Path) -> None:
    wrong = [
        ["gcloud", "container", "clusters", "describe", "mnist", "--locatin=us-central1-c", "--quiet"],
        ["gcloud", "container", "clusters", "descrbe", "mnist", "--quiet"],
        ["gcloud", "container", "clusters", "create", "mnist", "--num-nodes=two", "--quiet"],
    ]
    assert len(lint(tmp_path, wrong)) == 3


@real("gcloud")
def test_no_gcloud_command_holds_what_the_linter_would_skip(commands: dict[str, list[Command]]) -> None:
    assert [str(command) for command in commands["gcloud"] if "#" in str(command)] == []


def run_in_vain(command: list[str], folder: Path, **env: str) -> str:
    """Run a command that finds nobody to talk to; what it said, empty if it was understood."""
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"], "HOME": str(folder), **env}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False, cwd=folder,
    )  # fmt: skip
    if done.returncode == 0 or any(words in done.stderr for words in ACCEPTED):
        return ""
    return f"{shlex.join(command)}: {done.stderr.strip() or done.stdout.strip()}"


def in_vain(folder: Path, command: Command) -> list[str]:
    """A kubectl command line that leads nowhere: another kubeconfig, files of ours where it reads some."""
    instead = {
        "--kubeconfig": str(folder / "kubeconfig"), "--context": "here", "--cache-dir": str(folder / "cache"),
        "--filename": str(folder / "a.yaml"), "--kustomize": str(OPERATOR),
    }  # fmt: skip
    words = []
    for word in command.argv:
        name, equals, _ = word.partition("=")
        words.append(f"{name}={instead[name]}" if equals and name in instead else word)
    if "config" in words:  # these read your own kubeconfig, and take the context as a word
        words = ["here" if word == "kind-mnist" else word for word in words]
    return words


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """A kubeconfig whose server does not answer, and a manifest."""
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    (tmp_path / "a.yaml").write_text(MANIFEST)
    return tmp_path


@real("kubectl")
def test_kubectl_accepts_every_command(commands: dict[str, list[Command]], nowhere: Path) -> None:
    lines = [in_vain(nowhere, command) for command in commands["kubectl"]]
    kubeconfig = str(nowhere / "kubeconfig")
    with ThreadPoolExecutor(2) as threads:
        said = threads.map(lambda words: run_in_vain(words, nowhere, KUBECONFIG=kubeconfig), lines)
    assert [words for words in said if words] == []


@real("kubectl")
@pytest.mark.parametrize(
    "wrong",
    [
        "get pods --bogus=1",
        "apply",
        "rollout status",
        "wait pod/x",
        "port-forward svc/x",
        "gett pods",
        "get pods x --timeout=3",
    ],
)
def test_kubectl_refuses_what_is_wrong(nowhere: Path, wrong: str) -> None:
    place = [f"--kubeconfig={nowhere / 'kubeconfig'}", "--context=here"]
    assert run_in_vain(["kubectl", *wrong.split(), *place], nowhere)


@real("docker")
def test_docker_accepts_every_command(commands: dict[str, list[Command]], tmp_path: Path) -> None:
    nobody = {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock", "DOCKER_CONFIG": str(tmp_path)}
    said = [run_in_vain(list(command.argv), tmp_path, **nobody) for command in commands["docker"]]
    assert [words for words in said if words] == []


@real("docker")
def test_docker_refuses_what_is_wrong(tmp_path: Path) -> None:
    nobody = {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock", "DOCKER_CONFIG": str(tmp_path)}
    assert run_in_vain(["docker", "build", "--platfrm=linux/amd64", "."], tmp_path, **nobody)


@pytest.mark.parametrize("program", ["gcloud", "kubectl"])
def test_every_command_names_its_project_or_its_context_and_namespace(
    commands: dict[str, list[Command]], program: str
) -> None:
    wanted = {
        "gcloud": ("--project=demo-project-1", "--quiet"),
        "kubectl": ("--context=", "--kubeconfig=", "--namespace=", "--request-timeout="),
    }[program]
    yours = ("kubectl", "config")  # reads your own kubeconfig to copy one context out of it
    there = [command for command in commands[program] if command.argv[:2] != yours]
    assert [str(one) for one in there if not all(any(w.startswith(f) for w in one.argv) for f in wanted)] == []
