"""A search on a cluster: Katib is installed where it is wanted, runs the trials, and the best become a version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cloud import Cloud
from conftest import copied
from fakes.world import KATIB
from tests.gke.quick import Quick, Told
from tests.gke.test_existing import visiting

WITH = ("kubeflow.components=[training,katib]", f"kubeflow.katib={KATIB}", "tuning.trials=3", "tuning.steps=60")
EXPERIMENTS = "/apis/kubeflow.org/v1beta1/namespaces/kubeflow/experiments"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Quick]:
    """An environment with Katib in its cluster, and the images built."""
    folder = tmp_path_factory.mktemp("tuned")
    cloud = Cloud(copied(folder / "checkout"), folder, version)
    try:
        made = Quick(cloud)
        made.poll = 20.0
        first = made.up("deploy", "build", changes=WITH)
        assert first.code == 0, first.said
        yield made
        assert cloud.state.unknown == []
    finally:
        cloud.close()


@pytest.fixture(scope="module")
def tuned(deployed: Quick) -> tuple[Told, Told]:
    """A search, and the same command again."""
    return deployed.up("tune", changes=WITH), deployed.up("tune", changes=WITH)


@pytest.fixture
def anew(deployed: Quick, tuned: tuple[Told, Told]) -> Iterator[Quick]:
    """The cloud after the search, brought back to that after each test."""
    restore = deployed.restoring()
    yield deployed
    restore()


def records(quick: Quick) -> dict[str, dict[str, object]]:
    found = {name: content for name, content in quick.bucket.items() if re.search(r"^tune/.*/validation-", name)}
    return {name.split("/")[2]: json.loads(content) for name, content in found.items()}


def test_a_search_ends_well_and_says_how_it_goes(tuned: tuple[Told, Told]) -> None:
    assert tuned[0].code == 0, tuned[0].said
    assert re.search(r"\d trials: .*\d done.*; best validation_accuracy 0\.9\d+ with learning_rate ", tuned[0].said)


def test_the_trials_are_listed_by_what_they_reached_the_best_first(tuned: tuple[Told, Told], deployed: Quick) -> None:
    listed = re.findall(r"^ +(tune-\w+-0000000\d) .* (0\.\d{4}) +0\.\d{4} +12\.0$", tuned[0].said, re.MULTILINE)
    assert sorted(name for name, _ in listed) == sorted(records(deployed))
    assert [figure for _, figure in listed] == sorted((figure for _, figure in listed), reverse=True)


def test_the_best_values_are_trained_with_on_all_images_and_the_card_is_to_say_so(
    deployed: Quick, tuned: object
) -> None:
    best = max(records(deployed).values(), key=lambda record: record["validation_accuracy"])
    (job,) = [one for one in deployed.cluster.of("tfjobs.kubeflow.org") if one["metadata"]["name"].startswith("train-")]
    args = job["spec"]["tfReplicaSpecs"]["Chief"]["template"]["spec"]["containers"][0]["args"]
    assert f"--tf-learning-rate={best['settings']['learning_rate']:.4g}" in args
    assert not [word for word in args if word.startswith("--tf-validation-share")]
    (experiment,) = deployed.cluster.of("experiments.kubeflow.org")
    assert f"--tf-tuned-by={experiment['metadata']['name']}" in args


def test_the_record_of_the_version_names_the_experiment(deployed: Quick, tuned: object) -> None:
    (run,) = [json.loads(content) for name, content in deployed.bucket.items() if name.endswith("/run.json")]
    (experiment,) = deployed.cluster.of("experiments.kubeflow.org")
    assert run["tuned_by"] == experiment["metadata"]["name"]


def test_the_same_command_again_changes_nothing(tuned: tuple[Told, Told]) -> None:
    assert (tuned[1].code, tuned[1].writes) == (0, []), tuned[1].said


def test_a_plan_names_the_experiment_and_changes_nothing(anew: Quick) -> None:
    told = anew.plan("tune")
    assert (told.code, told.writes) == (2, []), told.said
    assert re.search(r"^  run   apply Experiment tune-\w{10}$", told.said, re.MULTILINE)
    assert "then a version is trained with the best values" in told.said


def test_a_second_deploy_installs_nothing_again(anew: Quick) -> None:
    again = anew.up("deploy", changes=WITH)
    assert (again.code, again.writes) == (0, []), again.said


def test_the_namespace_lets_katib_read_the_trials_figures(deployed: Quick) -> None:
    (namespace,) = [one for one in deployed.cluster.of("namespaces") if one["metadata"]["name"] == "kubeflow"]
    assert namespace["metadata"]["labels"]["katib.kubeflow.org/metrics-collector-injection"] == "enabled"


def test_a_trial_that_fails_does_not_end_the_search(anew: Quick) -> None:
    anew.cluster.fail(r"tune-.*-00000002", "Failed", log="the loss was nan")
    told = anew.up("tune", changes=(*WITH, "tuning.seed=2"), no_train=True)
    assert told.code == 0, told.said
    assert "3 trials: 2 done, 1 failed" in told.said


def test_a_search_whose_trials_all_fail_says_why_and_the_same_command_begins_it_again(anew: Quick) -> None:
    anew.cluster.fail("tune-.*", "Failed", log="the loss was nan")
    told = anew.up("tune", changes=(*WITH, "tuning.seed=3"), no_train=True)
    assert told.code == 1
    assert "Experiment has failed because max failed count has reached" in told.error
    assert "| the loss was nan" in told.error
    assert re.search(r"go on with: invoke .* tune --no-train$", told.error)
    anew.cluster.heal()
    again = anew.up("tune", changes=(*WITH, "tuning.seed=3"), no_train=True)
    assert again.code == 0, again.said
    assert "delete experiment tune-" in again.said


def test_trials_whose_image_cannot_be_pulled_are_given_up(anew: Quick) -> None:
    anew.cluster.fail("tune-.*", "ImagePullBackOff")
    told = anew.up("tune", changes=(*WITH, "tuning.seed=5"), no_train=True)
    assert told.code == 1
    assert "ImagePullBackOff" in told.error
    assert "likely cause: the nodes cannot get an image" in told.error


def test_without_katib_tune_says_what_to_set(anew: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anew.cluster, "kinds", list(anew.cluster.kinds))
    (definition,) = [
        one for one in anew.cluster.of("customresourcedefinitions.apiextensions.k8s.io")
        if one["metadata"]["name"] == "experiments.kubeflow.org"
    ]  # fmt: skip
    with anew.cloud.state.lock:
        anew.cluster.delete("customresourcedefinitions.apiextensions.k8s.io", definition)
    told = anew.up("tune", changes=("tuning.trials=3",))
    assert (told.code, told.writes) == (2, [])
    assert told.error.splitlines()[0] == (
        "tune: Katib, which runs the trials, is not in the cluster: write kubeflow.components: [training, katib] in "
        "config/staging.yaml, then `invoke --env=staging deploy` installs it"
    )


def test_without_the_training_the_command_for_it_is_shown(anew: Quick) -> None:
    told = anew.up("tune", changes=WITH, no_train=True)
    assert (told.code, told.writes) == (0, []), told.said
    (command,) = re.findall(r"a version of it: (invoke --env=staging train .*)", told.said)
    assert re.search(r"--set training.learning_rate=0\.00\d{1,4} ", command)
    assert re.search(r"--set training.tuned_by=tune-\w{10} ", command)
    assert "--set tuning" not in command


def test_katib_and_its_experiments_leave_somebody_elses_cluster_without_a_trace(tmp_path: Path, version: Path) -> None:
    with visiting(tmp_path, version, *WITH, "cluster.namespace=mnist", "tuning.trials=1") as guest:
        guest.cluster.add("namespaces", {"metadata": {"name": "mnist", "labels": {"theirs": "yes"}}})

        def labels() -> set[str]:
            (namespace,) = [one for one in guest.cluster.of("namespaces") if one["metadata"]["name"] == "mnist"]
            return {key for key in namespace["metadata"]["labels"] if not key.startswith("kubernetes.io")}

        searched = guest.run("tune", "deploy", "build", "tune", "--no-train")
        assert searched.code == 0, searched.said
        assert "experiments.kubeflow.org/mnist/tune-" in "".join(guest.theirs())
        assert labels() == {"theirs", "katib.kubeflow.org/metrics-collector-injection"}
        cleaned = guest.run("clean", "clean", "--yes")
        assert (cleaned.code, labels()) == (0, {"theirs"}), cleaned.said
        assert "delete Katib" in cleaned.said
        assert [name for name in guest.theirs() if "katib" in name or name.startswith("experiments")] == []


def test_somebody_elses_katib_is_used_and_left_alone(tmp_path: Path, version: Path) -> None:
    with visiting(tmp_path, version, *WITH, "cluster.namespace=mnist") as guest:
        guest.cluster.add("namespaces", {"metadata": {"name": "kubeflow"}})
        for path in ("experiments", "controller"):
            for document in yaml.safe_load_all((KATIB / f"{path}.yaml").read_text()):
                place = {} if document["kind"] == "CustomResourceDefinition" else {"namespace": "kubeflow"}
                guest.cluster.add(
                    RESOURCES[document["kind"]], {**document, "metadata": {**document["metadata"], **place}}
                )
        theirs = {name for name in guest.theirs() if "katib" in name or "experiments" in name}
        assert "Katib is there" in guest.run("deploy", "deploy").said
        cleaned = guest.run("clean", "clean", "--yes")
        assert "Katib is left alone: somebody else installed it" in cleaned.said
        assert theirs <= guest.theirs().keys()


RESOURCES = {
    "CustomResourceDefinition": "customresourcedefinitions.apiextensions.k8s.io", "ServiceAccount": "serviceaccounts",
    "Deployment": "deployments.apps",
}  # fmt: skip
