"""Everything up from nothing, again, with another setting, looked at, and down to nothing; by the real clients too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from cloud import Cloud
from fakes.kubernetes import Cluster
from pipeline.stages import STAGES
from tests.gke.conftest import REAL
from tests.gke.flows import Flow, flowing

PAGE = ("--set", "web_ui.replicas=2")
SERVER = ("--set", "serving.replicas=2")
STEPS = ("--set", "training.steps=90")

OBJECTS = "kubernetes/mnist-staging"
DEPLOYMENTS = f"PATCH {OBJECTS}/apis/apps/v1/namespaces/kubeflow/deployments"


SAID = ("step = 100/2000, loss = 0.3100, 9000 images/s, 20 s left", "Exported to gs://somewhere/export/1795600000")
"""What people read of a training's log."""
LOG = "\n".join(json.dumps({"time": "2026-11-25T08:00:00.000Z", "severity": "INFO", "message": one}) for one in SAID)
"""The same as it stands in the pod's log."""


def written(cloud: Cloud, cluster: Cluster) -> None:
    """As every cluster begins, but its trainings write a log."""
    cloud.prepare(cluster)
    cluster.log("train-.*", LOG)


YOURS = {
    ".kube/config": "current-context: yours\n", ".docker/config.json": '{"credsStore": "yours"}\n',
    ".gitconfig": "[user]\n\tname = yours\n",
}  # fmt: skip
"""What somebody has at home."""


def yours(cloud: Cloud) -> dict[str, bytes]:
    """Every file at home and of the login with gcloud."""
    folders = (cloud.world.folder / "home", cloud.world.login.folder)
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


LIFE = {
    "first": ("all",), "again": ("all",), "page": ("all", *PAGE), "status": ("status",), "models": ("models",),
    "log": ("logs", "train"), "predicted": ("predict", "--count=3"), "clean": ("clean", "--yes"),
    "clean again": ("clean", "--yes"),
}  # fmt: skip
WITH_REAL_CLIENTS = ("first", "clean")
"""Up and down: without `--every` the real ones do no more, for each start of gcloud takes a second or two."""


class Life(Flow):
    """A flow, and what somebody had at home before it."""

    yours: dict[str, bytes]


@pytest.fixture(scope="module", params=["stand-ins", pytest.param("real clients", marks=[REAL, pytest.mark.slow])])
def flow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Life]:
    """One environment's life, run once for all tests of it."""
    folder = tmp_path_factory.mktemp("flow")
    with flowing(folder, version, real=request.param == "real clients", kind=Life) as flow:
        flow.cloud.state.of("hooks")["ready"] = partial(written, flow.cloud)
        for name, text in YOURS.items():
            path = flow.cloud.world.folder / "home" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        flow.yours = yours(flow.cloud)
        if request.param == "real clients" and not request.config.getoption("--every"):
            flow.elsewhere = "the stand-ins' life"
        for name, words in LIFE.items():
            if name in WITH_REAL_CLIENTS or not flow.elsewhere:
                flow.run(name, *words)
        yield flow


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Flow]:
    """An environment whose settings change, one after the other."""
    with flowing(tmp_path_factory.mktemp("changed"), version) as flow:
        flow.run("first", "all")
        flow.run("server", "all", *SERVER)
        flow.run("version", "all", *SERVER, *STEPS)
        flow.run("both", "models")
        flow.run("rolled back", "rollback", *SERVER)
        flow.run("served", "serve", *SERVER)
        flow.run("rolled back too far", "rollback", *SERVER)
        flow.run("back", "all")
        yield flow


def tag_of(flow: Flow, name: str) -> str:
    """The version that a run of `train` came to."""
    match = re.search(r"version (\d{10})", flow[name].summary["train"])
    assert match, flow[name].said
    return match[1]


@pytest.mark.parametrize("name", ["first", "again", "page", "status", "models", "log", "predicted", "clean"])
def test_the_run_succeeds(flow: Flow, name: str) -> None:
    assert (flow[name].code, "Traceback" in flow[name].said) == (0, False), flow[name].said


def test_your_own_configurations_of_kubectl_docker_and_gcloud_are_as_they_were(flow: Life) -> None:
    after = yours(flow.cloud)
    assert {name for name in after.keys() | flow.yours.keys() if after.get(name) != flow.yours.get(name)} == set()


def test_everything_comes_up_from_nothing(flow: Flow) -> None:
    kinds = {line.split()[0] for line in flow.new("first")}
    assert kinds == {"artifactregistry.repositories", "binding", "container.clusters", "iam.accounts", "image",
                     "kubernetes", "node", "object", "storage.buckets"}  # fmt: skip


def test_the_summary_has_a_line_for_each_stage_with_what_it_came_to(flow: Flow) -> None:
    lines = flow["first"].summary
    assert tuple(lines) == STAGES
    assert lines["deploy"] == "cluster mnist-staging in us-central1-c, bucket gs://demo-project-1-mnist-staging-bucket"
    assert lines["ui"] == "web-ui.kubeflow:80 inside the cluster"


def test_a_second_run_changes_nothing(flow: Flow) -> None:
    assert flow["again"].writes == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_second_run_says_of_every_stage_that_it_is_unchanged(flow: Flow, stage: str) -> None:
    assert flow["again"].summary[stage].startswith("unchanged: "), flow["again"].said


def test_a_setting_of_the_page_changes_the_page_alone(flow: Flow) -> None:
    assert flow["page"].writes == [f"{DEPLOYMENTS}/web-ui"]


def test_the_stages_that_the_pages_setting_does_not_reach_stay_unchanged(flow: Flow) -> None:
    unchanged = [stage for stage, text in flow["page"].summary.items() if text.startswith("unchanged: ")]
    assert unchanged == ["deploy", "build", "train", "serve"]


def test_a_setting_of_the_server_changes_the_server_alone(changed: Flow) -> None:
    assert changed["server"].writes == [f"{DEPLOYMENTS}/mnist-serving"]


def test_the_stages_that_the_servers_setting_does_not_reach_stay_unchanged(changed: Flow) -> None:
    unchanged = [stage for stage, text in changed["server"].summary.items() if text.startswith("unchanged: ")]
    assert unchanged == ["deploy", "build", "train", "ui"]


MOVE = [f"PATCH {OBJECTS}/api/v1/namespaces/kubeflow/configmaps/mnist-serving",
        f"PATCH {OBJECTS}/api/v1/namespaces/kubeflow/pods/mnist-serving-<pod>",
        f"PATCH {OBJECTS}/api/v1/namespaces/kubeflow/pods/mnist-serving-<pod>"]  # fmt: skip
"""How two servers get another list of versions: the ConfigMap, and each pod's kubelet is made to look at it."""


def without_pods(writes: list[str]) -> list[str]:
    """The writes without what a pod's name is drawn from."""
    return [re.sub(r"(pods/mnist-serving)-\w+-\w+$", r"\1-<pod>", write) for write in writes]


def test_a_setting_of_the_training_makes_a_version_which_is_loaded_beside_the_old_one_and_takes_its_place(
    changed: Flow,
) -> None:
    assert without_pods(changed["version"].writes) == [
        f"POST {OBJECTS}/apis/batch/v1/namespaces/kubeflow/jobs",
        "POST storage/upload/storage/v1/b/demo-project-1-mnist-staging-bucket/o",
        f"POST {OBJECTS}/apis/kubeflow.org/v1/namespaces/kubeflow/tfjobs",
        "POST storage/upload/storage/v1/b/demo-project-1-mnist-staging-bucket/o", *MOVE, *MOVE,
    ]  # fmt: skip


def test_a_rollback_moves_the_servers_to_the_version_before_and_restarts_none(changed: Flow) -> None:
    record = "POST storage/upload/storage/v1/b/demo-project-1-mnist-staging-bucket/o"
    assert without_pods(changed["rolled back"].writes) == [record, *MOVE, *MOVE]
    assert f"version {tag_of(changed, 'first')} of mnist at " in changed["rolled back"].summary["rollback"]


def test_serve_leaves_it_at_the_version_that_was_gone_back_to(changed: Flow) -> None:
    left = f"version {tag_of(changed, 'version')} was stable and was left; {tag_of(changed, 'first')} stays"
    assert left in changed["served"].said
    assert changed["served"].writes == []


def test_a_rollback_beyond_the_first_version_says_that_there_is_none_and_changes_nothing(changed: Flow) -> None:
    run = changed["rolled back too far"]
    assert (run.code, run.writes) == (2, [])
    assert f"rollback: no version was stable before {tag_of(changed, 'first')}" in run.said


def test_a_new_version_is_told_with_the_setting_that_it_is_made_for(changed: Flow) -> None:
    made = f"make version {tag_of(changed, 'version')}: training.steps 2000 → 90"
    assert made in changed["version"].said


def test_the_server_follows_to_the_new_version(changed: Flow) -> None:
    assert tag_of(changed, "version") != tag_of(changed, "first")
    text = changed["version"].summary["serve"]
    assert text.startswith(f"version {tag_of(changed, 'version')} of mnist at ")


def test_the_versions_are_listed_the_newest_first(changed: Flow) -> None:
    listed = re.findall(r"^(\d{10}) .*", changed["both"].said, re.MULTILINE)
    assert listed == [tag_of(changed, "version"), tag_of(changed, "first")]


def test_settings_that_are_set_back_make_another_version(changed: Flow) -> None:
    """The newest version is what counts: it was made from other settings than those of now."""
    made = f"make version {tag_of(changed, 'back')}: training.steps 90 → 2000"
    assert made in changed["back"].said


@pytest.mark.parametrize("name", ["first", "server", "version", "both", "rolled back", "served", "back"])
def test_the_run_with_another_setting_succeeds(changed: Flow, name: str) -> None:
    assert (changed[name].code, changed.cloud.state.unknown) == (0, []), changed[name].said


def test_status_shows_each_component_and_the_version_that_the_server_has(flow: Flow) -> None:
    said, pages = flow["status"].said, 2 if "page" in flow.runs else 1
    for line in (r"serving +1/1 ready +deployment/mnist-serving", rf"web-ui +{pages}/{pages} ready +deployment/web-ui",
                 r"train +succeeded +tfjob/train-\d{10}", r"service +- +service/mnist-service"):  # fmt: skip
        assert re.search(line, said), (line, said)
    assert f"versions in the server: {tag_of(flow, 'first')} AVAILABLE" in said


def test_models_shows_what_the_version_reached(flow: Flow) -> None:
    assert re.search(rf"{tag_of(flow, 'first')} .* of 359 +digits .* AVAILABLE", flow["models"].said)


def test_the_trainings_log_can_be_read_afterwards(flow: Flow) -> None:
    assert flow["log"].said.splitlines() == list(SAID)


def test_the_trainings_log_is_shown_while_it_runs(flow: Flow) -> None:
    for line in SAID:
        assert f"      {line}\n" in flow["first"].said


def test_a_prediction_goes_through_a_port_forward(flow: Flow) -> None:
    assert f"3 of 3 right, by version {tag_of(flow, 'first')}" in flow["predicted"].said


def test_clean_leaves_nothing_behind(flow: Flow) -> None:
    assert flow.new("clean") == []
    assert "nothing is left" in flow["clean"].said


def test_clean_takes_nothing_of_others(flow: Flow) -> None:
    assert [line for line in flow.empty if line not in flow["clean"].left] == []


def test_cleaning_again_is_no_change(flow: Flow) -> None:
    assert (flow["clean again"].code, flow["clean again"].writes) == (0, []), flow["clean again"].said


def test_nobody_was_asked_what_nobody_knows(flow: Flow) -> None:
    assert flow.cloud.state.unknown == []
