"""`invoke doctor` finds what is missing, says how to repair it, and never ends in a traceback."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from invoke.config import Config
from invoke.context import Context

from fakes.world import World
from pipeline import answering, cloud, config, doctor, machine, program, project, toolbox
from pipeline.errors import PipelineError, RunFailed
from pipeline.execution import execute
from pipeline.findings import Row, failed
from pipeline.foresight import rehearse
from pipeline.hands import Here
from pipeline.settings import Settings

QUIET = lambda line: None  # noqa: E731
NAMED = "gcp.project=demo-project-1"

ENABLED = "\n".join(cloud.apis(config.load("staging", [NAMED]).settings))
QUOTAS = [
    {"metric": "CPUS", "limit": 12.0, "usage": 0.0},
    {"metric": "SSD_TOTAL_GB", "limit": 250.0, "usage": 0.0},
    {"metric": "IN_USE_ADDRESSES", "limit": 4.0, "usage": 0.0},
    {"metric": "NVIDIA_T4_GPUS", "limit": 0.0, "usage": 0.0},
]


class Tools:
    """A folder of tiny executables that say what they are told to, and the only one on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("sh", "mkdir", "ln"):
            (folder / name).symlink_to(str(shutil.which(name)))

    def says(self, tool: str, **answers: tuple[int, str] | str) -> None:
        """Let a tool answer: words of its command line, joined by `_`, → what it prints, or exit code and stderr."""
        cases = []
        for words, answer in answers.items():
            code, text = answer if isinstance(answer, tuple) else (0, answer)
            pattern = "*".join(f'"{word}"' for word in words.split("_"))
            cases.append(f"*{pattern}*) printf '%s\\n' {quoted(text)} {'>&2' if code else ''}; exit {code};;")
        path = self.folder / tool
        path.write_text("\n".join(["#!/bin/sh", 'case "$*" in', *cases, "*) exit 64;;", "esac", ""]))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def lacks(self, tool: str) -> None:
        (self.folder / tool).unlink()


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def kubectl_says(client: str, server: str = "") -> str:
    sides = {"clientVersion": client, "serverVersion": server}
    return json.dumps({side: {"major": "1", "minor": minor} for side, minor in sides.items() if minor})


GCLOUD: dict[str, Any] = {
    "version": json.dumps({"Google Cloud SDK": "528.0.0"}),
    "auth_print-access-token": "token",
    "auth_list": json.dumps([{"account": "ann@example.org", "status": "ACTIVE"}]),
    "billing": json.dumps({"billingEnabled": True, "billingAccountName": "billingAccounts/00-11"}),
    "projects_describe": json.dumps({"lifecycleState": "ACTIVE", "projectNumber": "7"}),
    "services_list": ENABLED,
    "zones_describe": json.dumps({"status": "UP"}),
    "regions_describe": json.dumps({"quotas": QUOTAS}),
    "clusters_describe": (1, "ERROR: (gcloud.container.clusters.describe) ResponseError: code=404, message=Not found."),
}
"""A gcloud with which all is well."""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Every tool, all of them well, on a PATH with nothing else; and a build folder of the test's own."""
    made = Tools(tmp_path / "bin")
    made.says("gcloud", **GCLOUD)
    made.says("kubectl", **{"version_--client": kubectl_says("32"), "version": (1, "error: no such file")})
    made.says("gke-gcloud-auth-plugin", **{"--version": "Kubernetes v1.30.0"})
    made.says("docker", version="28.2.2")
    monkeypatch.setenv("PATH", str(made.folder))
    monkeypatch.setattr("pipeline.settings.ROOT", tmp_path)
    monkeypatch.setattr(answering, "PAUSE", 0.01)
    return made


def context(environment: str = "staging", *changes: str, dry: bool = False) -> Context:
    chosen = {"environment": environment, "set": list(changes)}
    return Context(Config({program.CHOSEN: chosen, "run": {"dry": dry}}))


def settings(*changes: str, environment: str = "staging") -> Settings:
    return config.load(environment, [NAMED, *changes]).settings


def rows(*changes: str) -> dict[str, Row]:
    """What doctor finds in staging, by check; of several rows for one check the worst."""
    of = settings(*changes)
    found = sorted(doctor.examined(of, Here(of.build)), key=lambda row: ("ok", "warn", "missing").index(row.state))
    return {row.check: row for row in found}


def unfit(of: Settings) -> PipelineError:
    with pytest.raises(PipelineError) as caught:
        execute(doctor.preconditions(of), of.build, QUIET, Here(of.build))
    return caught.value


def test_all_is_well_where_all_is_well(tools: Tools) -> None:
    found = rows("cluster.max_nodes=3")
    assert {row.check: row.fix for row in found.values() if row.state != "ok"} == {}
    assert {
        "gcloud",
        "kubectl",
        "gke-gcloud-auth-plugin",
        "docker",
        "login",
        "project",
        "billing",
        "APIs",
        "zone",
    } <= set(found)


def test_an_environment_that_can_work_is_exit_0_and_says_so(tools: Tools, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.doctor(context("staging", NAMED))
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["check", "state", "found", "fix"]
    assert printed[-1] == "environment staging can work"


def test_one_that_cannot_is_exit_1_and_names_what_is_missing(tools: Tools) -> None:
    tools.lacks("kubectl")
    with pytest.raises(RunFailed, match=r"^environment staging cannot work yet: kubectl$") as caught:
        doctor.doctor(context("staging", NAMED))
    assert caught.value.code == 1


def test_this_machine_needs_no_tool_of_a_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ports = [f"{key}={port}" for key, port in zip(
        ("serving.grpc_port", "serving.rest_port", "web_ui.port", "web_ui.service_port", "tensorboard.port",
         "tensorboard.service_port"), (29000, 29001, 29002, 29002, 29003, 29003), strict=True)]  # fmt: skip
    doctor.doctor(context("local", *ports))
    printed = capsys.readouterr().out
    assert "environment local can work" in printed
    assert "gcloud" not in printed


def test_dry_prints_the_questions_and_asks_none(tools: Tools, capsys: pytest.CaptureFixture[str]) -> None:
    tools.says("gcloud")  # every call would fail
    doctor.doctor(context("staging", NAMED, dry=True))
    printed = capsys.readouterr().out
    assert "gcloud version --format=json" in printed
    assert "kubectl version --client" in printed
    assert "gcloud compute regions describe" in printed


@pytest.mark.parametrize("tool", ["gcloud", "kubectl", "gke-gcloud-auth-plugin"])
def test_fault_17_a_missing_tool_is_a_row_with_the_way_to_get_it(tools: Tools, tool: str) -> None:
    tools.lacks(tool)
    row = rows()[tool]
    assert row.state == "missing"
    assert row.found == f"{tool} is not on this machine's PATH"
    assert "install" in row.fix


@pytest.mark.parametrize("tool", ["gcloud", "kubectl", "gke-gcloud-auth-plugin"])
def test_fault_17_a_missing_tool_is_exit_3_before_any_change(tools: Tools, tool: str) -> None:
    tools.lacks(tool)
    error = unfit(settings())
    assert error.code == 3
    assert str(error.message).startswith(f"{tool} is not on this machine's PATH: ")
    assert "install" in str(error.message)


def test_without_gcloud_nothing_of_the_project_is_asked(tools: Tools) -> None:
    tools.lacks("gcloud")
    found = rows()
    assert found["the rest"].found == "not asked yet"
    assert "billing" not in found


def test_fault_18_an_old_gcloud_is_exit_3(tools: Tools) -> None:
    tools.says("gcloud", version=json.dumps({"Google Cloud SDK": "450.0.1"}))
    error = unfit(settings())
    assert (error.code, str(error.message)) == (
        3,
        "gcloud 450.0.1 is too old: 500 or newer is needed; `gcloud components update`",
    )


def test_fault_18_an_old_kubectl_is_exit_3(tools: Tools) -> None:
    tools.says("kubectl", version=kubectl_says("27"))
    error = unfit(settings())
    assert error.code == 3
    assert "kubectl 1.27 is too old" in str(error.message)


@pytest.mark.parametrize(("client", "server", "fits"), [
    ("32", "33+", True), ("32", "31", True), ("32+", "32", True), ("32", "34", False), ("34", "32", False),
])  # fmt: skip
def test_fault_18_kubectl_may_be_one_minor_version_from_the_server(
    tools: Tools, client: str, server: str, fits: bool
) -> None:
    tools.says("kubectl", **{"version_--client": kubectl_says(client), "version": kubectl_says(client, server)})
    row = rows()["kubectl"]
    assert (row.state == "ok") == fits
    if not fits:
        assert unfit(settings()).code == 3


def test_a_cluster_that_is_not_there_yet_is_no_fault_of_kubectl(tools: Tools) -> None:
    of = settings()
    execute(doctor.preconditions(of), of.build, QUIET, Here(of.build))
    assert rows()["kubectl"] == Row("kubectl", "ok", "1.32; no cluster answers yet")


@pytest.mark.parametrize(
    ("answer", "state"), [("kind-mnist", "ok"), ((1, "error: context kind-mnist not found"), "missing")]
)
def test_a_context_of_yours_is_looked_for(tools: Tools, answer: Any, state: str) -> None:
    own = {"version_--client": kubectl_says("32"), "version": (1, "error: no such file"), "config_get-contexts": answer}
    tools.says("kubectl", **own)
    found = rows("cluster.kind=existing", "cluster.context=kind-mnist", "identity=key-secret")
    assert found["context"].state == state
    assert "gke-gcloud-auth-plugin" not in found


def test_fault_3_a_placeholder_is_refused_before_any_tool_is_asked(tools: Tools) -> None:
    tools.lacks("gcloud")
    error = unfit(config.load("staging").settings)
    assert error.code == 2
    assert "gcp.project" in str(error.message)


def test_preconditions_ask_nothing_on_this_machine() -> None:
    assert rehearse(doctor.preconditions(settings(environment="local")), QUIET) == []


def test_preconditions_change_nothing_and_can_be_rehearsed() -> None:
    steps = rehearse(doctor.preconditions(settings()), QUIET)
    assert [step.kind for step in steps] == ["ask"] * len(steps)  # type: ignore[union-attr]
    assert sum(step.argv[0] == "gcloud" for step in steps) == 1  # type: ignore[union-attr]


def test_fault_19_nobody_logged_in_is_a_row_with_the_command(tools: Tools) -> None:
    tools.says("gcloud", **GCLOUD | {"auth_print-access-token": (
        1, "ERROR: (gcloud.auth.print-access-token) You do not currently have an active account selected.\nPlease run:",
    )})  # fmt: skip
    row = rows()["login"]
    assert (row.state, row.found, row.fix) == (
        "missing",
        "nobody is logged in",
        "`gcloud auth login`, then the same command again",
    )


def test_fault_21_ambient_variables_are_shown_and_not_obeyed(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/home/ann/.kube/other")
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "elsewhere")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/home/ann/key.json")
    found = rows()["variables"].found
    assert found.startswith("not obeyed")
    for shown in ("KUBECONFIG=/home/ann/.kube/other", "CLOUDSDK_CORE_PROJECT=elsewhere", "CREDENTIALS=/home/ann/key"):
        assert shown in found


def test_fault_21_the_tools_see_none_of_them(tools: Tools, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "elsewhere")
    monkeypatch.setenv("KUBECONFIG", "/home/ann/.kube/other")
    seen = tmp_path / "seen"
    (tools.folder / "kubectl").write_text(f'#!/bin/sh\necho "$CLOUDSDK_CORE_PROJECT $KUBECONFIG" >>{seen}\nexit 1\n')
    rows()
    assert set(seen.read_text().splitlines()) == {f" {tmp_path / 'build' / 'staging' / 'kubeconfig'}"}


def test_fault_80_a_variable_with_a_token_is_shown_without_it() -> None:
    row = machine.variables({"CLOUDSDK_AUTH_ACCESS_TOKEN": "CANARY"})
    assert "CLOUDSDK_AUTH_ACCESS_TOKEN" in row.found
    assert "CANARY" not in row.found


def test_the_placeholder_of_a_project_is_a_row_and_stops_the_questions(tools: Tools) -> None:
    of = config.load("staging").settings
    found = {row.check: row for row in doctor.examined(of, Here(of.build))}
    assert found["project"].state == "missing"
    assert "config/staging.yaml" in found["project"].fix
    assert "billing" not in found


DOCKER_DOWN = (1, "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")


@pytest.mark.parametrize(("tool", "state"), [("auto", "warn"), ("docker", "missing"), ("cloud-build", "ok")])
def test_fault_22_without_dockers_daemon_it_depends_on_who_builds(tools: Tools, tool: str, state: str) -> None:
    tools.says("docker", version=DOCKER_DOWN)
    row = rows(f"build_images.tool={tool}")["docker"]
    assert row.state == state
    assert tool == "docker" or "Cloud Build makes the images" in row.found


def changed(**answers: Any) -> dict[str, Any]:
    return GCLOUD | answers


@pytest.mark.parametrize(
    ("answers", "check", "state", "found", "fix"),
    [
        (
            {"projects_describe": (1, "ERROR: (gcloud.projects.describe) [ann@x] does not have permission to access "
                                      "projects instance [demo-project-1] (or it may not exist): denied")},
            "project", "missing", "projects instance demo-project-1 is not there", "`gcloud projects list`",
        ),
        (
            {"projects_describe": json.dumps({"lifecycleState": "DELETE_REQUESTED"})},
            "project", "missing", "is DELETE_REQUESTED", "`gcloud projects undelete demo-project-1`",
        ),
        (
            {"billing": json.dumps({"billingEnabled": False})},
            "billing", "missing", "nobody pays", "`gcloud billing projects link demo-project-1",
        ),
        (
            {"billing": (1, "ERROR: (gcloud.billing.projects.describe) PERMISSION_DENIED: The caller does not")},
            "billing", "warn", "not known: the account may not", "roles/editor",
        ),
        (
            {"services_list": ENABLED.replace("iam.googleapis.com", "")},
            "APIs", "warn", "off: iam", "`invoke deploy` turns them on",
        ),
        (
            {"services_list": "storage.googleapis.com"},
            "zone and quota", "warn", "while the API compute is off", "`invoke deploy`",
        ),
        (
            {"zones_describe": (1, "ERROR: (gcloud.compute.zones.describe) Could not fetch resource:\n - The resource "
                                   "'projects/demo/zones/us-central1-c' was not found")},
            "zone", "missing", "there is no us-central1-c", "`gcloud compute zones list",
        ),
        (
            {"zones_describe": json.dumps({"status": "DOWN"})},
            "zone", "missing", "us-central1-c is DOWN", "--set gcp.zone=…",
        ),
        (
            {"version": (1, "Segmentation fault")},
            "gcloud", "missing", "Segmentation fault", "`gcloud version --format=json",
        ),
    ],
)  # fmt: skip
def test_a_question_that_goes_wrong_is_a_row_with_its_repair(
    tools: Tools, answers: dict[str, Any], check: str, state: str, found: str, fix: str
) -> None:
    tools.says("gcloud", **changed(**answers))
    row = rows()[check]
    assert row.state == state
    assert found in row.found
    assert fix in row.fix


@pytest.mark.parametrize(
    ("changes", "state", "found"),
    [
        (("cluster.nodes=2", "cluster.max_nodes=3"), "ok", "12 of 12 CPUS free, 8 wanted"),
        (("cluster.nodes=2", "cluster.max_nodes=4"), "warn", "12 of 12 CPUS free, 8 wanted, 16 at most"),
        (("cluster.nodes=4", "cluster.max_nodes=4"), "missing", "12 of 12 CPUS free, 16 wanted"),
        (("cluster.disk_gb=150",), "missing", "250 of 250 SSD_TOTAL_GB free, 300 wanted"),
        (("cluster.machine_type=e2-small", "cluster.nodes=5", "cluster.max_nodes=5"), "missing",
         "4 of 4 IN_USE_ADDRESSES free, 5 wanted"),
        (("training.gpus=1",), "missing", "0 of 0 NVIDIA_T4_GPUS free, 1 wanted"),
        (("training.gpus=2", "training.workers=1"), "missing", "0 of 0 NVIDIA_T4_GPUS free, 4 wanted"),
        (("serving.gpus=2", "serving.max_replicas=3"), "missing", "0 of 0 NVIDIA_T4_GPUS free, 2 wanted"),
        (("cluster.machine_type=n2-standard-16", "cluster.max_nodes=2"), "ok", "SSD_TOTAL_GB"),
        (("cluster.autopilot=true", "training.gpus=1"), "missing", "0 of 0 NVIDIA_T4_GPUS free, 1 wanted"),
    ],
)  # fmt: skip
def test_fault_44_a_quota_that_is_too_small_is_named(changes: tuple[str, ...], state: str, found: str) -> None:
    judged = list(project.judged(settings(*changes), {one["metric"]: one for one in QUOTAS}, there=False))
    assert any(row.state == state and found in row.found for row in judged), judged


def test_a_cluster_that_is_there_has_its_quota_already() -> None:
    used = {"CPUS": {"metric": "CPUS", "limit": 12.0, "usage": 8.0}}
    (row,) = project.judged(settings(), used, there=True)
    assert (row.state, row.found) == ("ok", "4 of 12 CPUS free beside the cluster that is there")


@pytest.mark.parametrize(
    ("cluster", "changes", "state"),
    [
        (None, (), "ok"),
        (None, ("cluster.dataplane_v2=false",), "warn"),
        (None, ("cluster.dataplane_v2=false", "cluster.autopilot=true"), "ok"),
        ({"networkConfig": {"datapathProvider": "ADVANCED_DATAPATH"}}, (), "ok"),
        ({"networkPolicy": {"enabled": True}}, ("cluster.dataplane_v2=false",), "ok"),
        ({"autopilot": {"enabled": True}}, ("cluster.autopilot=true",), "ok"),
        ({"networkConfig": {"network": "default"}}, (), "warn"),
    ],
)
def test_a_cluster_that_heeds_no_network_policy_is_a_warning(
    tools: Tools, cluster: dict[str, Any] | None, changes: tuple[str, ...], state: str
) -> None:
    answers = {} if cluster is None else {"clusters_describe": json.dumps(cluster)}
    tools.says("gcloud", **changed(**answers))
    row = rows(*changes)["network policy"]
    assert (row.state, "anybody in the cluster may call" in row.found, bool(row.fix)) == (
        state, state == "warn", state == "warn"
    )  # fmt: skip


@pytest.mark.parametrize(("changes", "metric"), [
    (("cluster.gpu_type=nvidia-tesla-t4",), "NVIDIA_T4_GPUS"),
    (("cluster.gpu_type=nvidia-l4", "cluster.spot=true"), "PREEMPTIBLE_NVIDIA_L4_GPUS"),
    (("cluster.gpu_type=nvidia-tesla-v100",), "NVIDIA_V100_GPUS"),
])  # fmt: skip
def test_a_gpu_has_a_quota_of_its_own(changes: tuple[str, ...], metric: str) -> None:
    assert project.gpu_quota(settings(*changes)) == metric


@pytest.mark.parametrize(("row", "state", "found"), [
    (machine.python((3, 9, 1), True), "missing", "3.9.1 is too old"),
    (machine.python((3, 12, 1), False), "warn", "3.12.1, shared with other programs"),
    (machine.python((3, 12, 1), True), "ok", f"3.12.1 in {sys.prefix}"),
    (machine.disk(1_000_000), "missing", "1 MB free, 500 MB are needed"),
    (machine.disk(5_000_000_000), "ok", "5.0 GB free"),
    (machine.port_row("web_ui.port", 8080, "nginx (12)"), "missing", "taken by nginx (12)"),
    (machine.port_row("web_ui.port", 8080, None), "ok", "free, for web_ui.port"),
    (machine.variables({}), "ok", "none that would lead a tool elsewhere"),
])  # fmt: skip
def test_what_a_machine_lacks_is_told(row: Row, state: str, found: str) -> None:
    assert (row.state, row.found) == (state, found)


def test_a_page_whose_port_is_taken_gets_both_its_ports_changed() -> None:
    row = machine.port_row("web_ui.port", 8080, "nginx (12)")
    assert row.fix == "stop it, or --set web_ui.port=… --set web_ui.service_port=…"


def test_little_memory_is_a_warning_where_training_runs_here() -> None:
    assert machine.memory(settings(environment="local"), 2**30).state == "warn"
    assert machine.memory(settings(), 2**30).state == "ok"


def test_a_row_shows_a_tools_last_words_and_the_command_that_says_more() -> None:
    command = toolbox.gcloud_version(settings())
    row = failed("gcloud", command, RunFailed("look: gcloud ended with 1\n  Segmentation fault"))
    assert row == Row("gcloud", "missing", "Segmentation fault", f"`{command}` says more")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The fake cloud with the real gcloud and kubectl, and its environment put around this test."""
    with World(tmp_path / "world", real=True) as made:
        for name in [name for name in os.environ if name.startswith(("CLOUDSDK_", "GOOGLE_"))]:
            monkeypatch.delenv(name)
        for name, value in made.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("pipeline.settings.ROOT", tmp_path)
        yield made


REAL = pytest.mark.skipif(
    not all(map(shutil.which, ("gcloud", "kubectl", "gke-gcloud-auth-plugin"))),
    reason="gcloud or kubectl is not installed",
)


@REAL
def test_the_real_tools_are_examined_against_the_fake_cloud(world: World) -> None:
    world.enable(*ENABLED.split())
    found = rows(*world.sets())
    assert {row.check: (row.state, row.found) for row in found.values() if row.state != "ok"} == {}
    assert found["login"].found == "tester@example.org"
    assert found["quota"].found.endswith("wanted")
    assert world.state.writes == []
    assert world.state.unknown == []


@REAL
def test_fault_19_the_real_gcloud_without_a_login_is_a_row(world: World) -> None:
    world.login.leave()
    assert rows(*world.sets())["login"].fix == "`gcloud auth login`, then the same command again"
