"""Tools that are missing, too old, logged out or led astray: said before any change; once mended, all completes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gke.flows import Flow, Run, flowing

TOOLS = ("gcloud", "kubectl", "gke-gcloud-auth-plugin", "docker")
SHELL = ("sh", "mkdir", "ln", "rm")
"""What else the commands here need of a machine."""

PAGE = "kubernetes/mnist-staging/apis/apps/v1/namespaces/kubeflow/deployments/web-ui"
CHANGE = ("--set", "web_ui.replicas=3")

AMBIENT = {
    "CLOUDSDK_CORE_PROJECT": "another-project", "CLOUDSDK_CORE_ACCOUNT": "ann@example.org",
    "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": "/nowhere/token", "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere/key.json",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER": "http://127.0.0.1:9/", "DOCKER_CONFIG": "/nowhere",
}  # fmt: skip
"""Variables that gcloud, docker or a client library would obey."""

WITH_DOCKER = ("--set", "build_images.tool=docker")
OLD = {
    "gcloud": {"Google Cloud SDK": "450.0.1"},
    "kubectl": {"clientVersion": {"major": "1", "minor": "27"}},
}
"""Tool → what one that is too old says of its version."""


def path_of(flow: Flow, name: str, lacking: str = "", old: str = "") -> str:
    """A PATH with the tools of the flow's world and nothing else; without one of them, or with an old one."""
    folder = flow.cloud.checkout.root.parent / name.replace(" ", "-")
    folder.mkdir()
    for tool in TOOLS:
        if tool not in (lacking, old):
            (folder / tool).symlink_to(flow.cloud.world.bin / tool)
    for program in SHELL:
        (folder / program).symlink_to(str(shutil.which(program)))
    if old:
        (folder / old).write_text(f"#!/bin/sh\necho '{json.dumps(OLD[old])}'\n")
        (folder / old).chmod(0o755)
    return str(folder)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Flow]:
    """An empty project and runs of `all` that a tool stands in the way of; then one with which all is well."""
    with flowing(tmp_path_factory.mktemp("refused"), version) as flow:
        world = flow.cloud.world
        for tool in TOOLS:
            words = (*WITH_DOCKER, "all") if tool == "docker" else ("all",)
            flow.run(f"no {tool}", *words, PATH=path_of(flow, f"no {tool}", lacking=tool))
        for tool in OLD:
            flow.run(f"old {tool}", "all", PATH=path_of(flow, f"old {tool}", old=tool))
        world.docker.daemon(up=False)
        flow.run("no daemon", *WITH_DOCKER, "all")
        world.login.leave()
        flow.run("logged out", "all")
        world.login.begin()
        world.login.end()
        flow.run("login ended", "all")
        world.login.begin()
        flow.run("well", "all")
        yield flow


@pytest.fixture(scope="module")
def astray(refused: Flow) -> Flow:
    """That environment, now that it is up: led elsewhere, with a cluster that is too new, and with another's."""
    world = refused.cloud.world
    ours, theirs = world.cluster("mnist-staging"), world.add_cluster("theirs")
    variables = {**AMBIENT, "KUBECONFIG": str(theirs.kubeconfig(world.folder / "theirs.kubeconfig"))}
    refused.run("ambient", "all", "--set", "web_ui.replicas=2", **variables)
    refused.run("doctor", "doctor", **variables)
    was, ours.version = ours.version, "v1.35.1-gke.100"
    refused.run("too new", "all", *CHANGE)
    ours.version = was
    marker = ours.objects["configmaps/kubeflow/pipeline-environment"]["data"]
    mine = dict(marker)
    marker["environment"] = "production"
    refused.run("another's", "all", *CHANGE)
    marker.update(mine)
    refused.run("mended", "all", *CHANGE)
    return refused


@pytest.fixture(scope="module")
def without_docker(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Flow]:
    """A machine whose docker daemon is down, and settings that leave the choice."""
    with flowing(tmp_path_factory.mktemp("without"), version) as flow:
        flow.cloud.world.docker.daemon(up=False)
        flow.run("all", "all")
        flow.run("again", "all")
        yield flow


def told(run: Run) -> list[str]:
    """The lines of a refusal."""
    return run.said.strip().splitlines()


@pytest.mark.parametrize("tool", TOOLS)
def test_fault_17_a_missing_tool_is_exit_3_before_any_change(refused: Flow, tool: str) -> None:
    run = refused[f"no {tool}"]
    assert (run.code, run.writes) == (3, []), run.said


@pytest.mark.parametrize("tool", TOOLS)
def test_fault_17_a_missing_tool_is_named_with_the_way_to_get_it_in_one_line(refused: Flow, tool: str) -> None:
    (line,) = told(refused[f"no {tool}"])
    assert line.startswith(f"{tool} is not on this machine's PATH: ")
    assert "install" in line


@pytest.mark.parametrize("tool", OLD)
def test_fault_18_a_tool_that_is_too_old_is_exit_3_before_any_change(refused: Flow, tool: str) -> None:
    run = refused[f"old {tool}"]
    assert (run.code, run.writes) == (3, []), run.said


@pytest.mark.parametrize(("tool", "words"), [
    ("gcloud", "gcloud 450.0.1 is too old: 500 or newer is needed; `gcloud components update`"),
    ("kubectl", "kubectl 1.27 is too old: 1.28 or newer is needed; `gcloud components install kubectl`"),
])  # fmt: skip
def test_fault_18_a_tool_that_is_too_old_is_named_with_the_version_that_fits(
    refused: Flow, tool: str, words: str
) -> None:
    (line,) = told(refused[f"old {tool}"])
    assert line.startswith(words)


def test_fault_18_a_cluster_too_far_from_kubectl_is_exit_3_before_any_change(astray: Flow) -> None:
    assert (astray["too new"].code, astray["too new"].writes) == (3, []), astray["too new"].said


def test_fault_18_kubectl_and_the_cluster_are_named_with_the_version_that_fits(astray: Flow) -> None:
    (line,) = told(astray["too new"])
    assert line.startswith("kubectl 1.32 is too far from the cluster's 1.35: 1 minor version apart is allowed")
    assert "put a kubectl 1.35 on PATH" in line


@pytest.mark.parametrize(("name", "words"), [
    ("logged out", "nobody is logged in"), ("login ended", "the login has expired"),
])  # fmt: skip
def test_fault_19_without_a_login_nothing_is_changed_and_the_way_to_log_in_is_told(
    refused: Flow, name: str, words: str
) -> None:
    run = refused[name]
    assert (run.code, run.writes) == (1, []), run.said
    assert told(run)[-2:] == [
        f"  likely cause: {words}; `gcloud auth login`, then the same command again",
        f"  go on with: {command(refused)} all",
    ]


def command(flow: Flow) -> str:
    """How a command line begins in the flow's environment."""
    return " ".join(["invoke", "--env=staging", *(f"--set {change}" for change in flow.cloud.sets)])


def test_faults_17_to_22_once_all_is_well_the_same_command_completes(refused: Flow) -> None:
    assert refused["well"].code == 0, refused["well"].said


def test_fault_20_another_environments_cluster_is_exit_2_before_any_change(astray: Flow) -> None:
    assert (astray["another's"].code, astray["another's"].writes) == (2, []), astray["another's"].said


def test_fault_20_the_refusal_says_whose_cluster_it_is_and_how_to_go_on(astray: Flow) -> None:
    *_, refusal, way_on = told(astray["another's"])
    assert refusal == (
        "deploy: nothing was done: the namespace kubeflow of the cluster in build/staging/kubeconfig belongs to "
        "somebody else (environment production, not staging); choose another cluster.namespace"
    )
    assert way_on == f"  go on with: {command(astray)} {' '.join(CHANGE)} all"


def test_fault_20_once_the_cluster_is_ours_the_same_command_completes(astray: Flow) -> None:
    run = astray["mended"]
    assert (run.code, [line.rpartition("/")[2] for line in run.writes]) == (0, ["web-ui"]), run.said


def test_fault_21_variables_that_lead_elsewhere_lead_nowhere(astray: Flow) -> None:
    run = astray["ambient"]
    assert (run.code, run.writes) == (0, [f"PATCH {PAGE}"]), run.said


def test_fault_21_the_cluster_that_kubeconfig_names_is_not_even_asked(astray: Flow) -> None:
    assert [line for line in astray.cloud.state.requests if "kubernetes/theirs" in line] == []


@pytest.mark.parametrize("name", ["KUBECONFIG", *AMBIENT])
def test_fault_21_doctor_shows_the_variables_that_are_not_obeyed(astray: Flow, name: str) -> None:
    (line,) = [line for line in astray["doctor"].said.splitlines() if line.startswith("variables ")]
    assert name in line.partition("not obeyed")[2]


def test_fault_22_docker_without_its_daemon_is_exit_3_before_any_change(refused: Flow) -> None:
    run = refused["no daemon"]
    assert (run.code, run.writes) == (3, []), run.said
    assert told(run) == [
        "docker's daemon does not answer: start it, or let Cloud Build do it: --set build_images.tool=cloud-build"
    ]


def test_fault_22_where_the_choice_is_left_cloud_build_builds_and_it_is_said_once(without_docker: Flow) -> None:
    run = without_docker["all"]
    assert run.code == 0, run.said
    assert run.said.count("docker's daemon does not answer here: Cloud Build builds instead") == 1
    assert len([line for line in run.writes if line.startswith("POST cloudbuild")]) == 2


def test_fault_22_what_cloud_build_built_is_unchanged_in_the_next_run(without_docker: Flow) -> None:
    run = without_docker["again"]
    assert (run.code, run.writes) == (0, []), run.said


def test_nobody_was_asked_what_nobody_knows(astray: Flow, without_docker: Flow) -> None:
    assert (astray.cloud.state.unknown, without_docker.cloud.state.unknown) == ([], [])
