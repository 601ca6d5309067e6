"""An environment that is led to a cluster which is not its own: nothing is changed there, and it says whose it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipeline import running
from pipeline.stages import STAGES
from tests.gke.quick import CLUSTER, Quick, Told, quick

MARKER = "configmaps/kubeflow/pipeline-environment"
CLUSTERS = "container.clusters"
PLACE = f"us-central1-c/{CLUSTER}"
CHANGE = "web_ui.replicas=3"


class Place:
    """An environment that is up, another cluster beside it, and the machine from which both can be reached."""

    def __init__(self, there: Quick) -> None:
        self.there, self.world, self.state = there, there.cloud.world, there.cloud.state
        self.theirs = self.world.add_cluster("theirs", resourceLabels={"team": "theirs"})
        self.theirs.add("namespaces", {"metadata": {"name": "kubeflow"}})
        about = {"namespace": "kubeflow", "name": "web-ui"}
        port = {"port": 80, "targetPort": 80, "protocol": "TCP"}
        self.theirs.add("services", {"metadata": about, "spec": {"type": "ClusterIP", "ports": [port]}})
        self.kubeconfig = there.cloud.checkout.root / "build" / there.env / "kubeconfig"
        self.config = self.theirs.kubeconfig(self.world.folder / "theirs")

    def mark(self, **data: str) -> None:
        """Let our cluster say of itself that it is somebody else's."""
        self.there.cluster.objects[MARKER]["data"] |= data

    def unmark(self) -> None:
        del self.there.cluster.objects[MARKER]

    def label(self, **labels: str) -> None:
        """Let Google say it of our cluster."""
        ours = self.state.of(CLUSTERS)[PLACE]["resourceLabels"] if labels else {}
        self.state.of(CLUSTERS)[PLACE]["resourceLabels"] = {**ours, **labels}

    def vanish(self) -> None:
        """Take our cluster away; the kubeconfig stays."""
        del self.state.of(CLUSTERS)[PLACE]

    def mislead(self) -> None:
        """Let the environment's own kubeconfig lead to the other cluster, under the name of ours."""
        kept, theirs = json.loads(self.kubeconfig.read_text()), json.loads(self.config.read_text())
        kept["clusters"][0]["cluster"] = theirs["clusters"][0]["cluster"]
        self.kubeconfig.write_text(json.dumps(kept))

    def move(self) -> None:
        """Make the cluster anew behind our backs: the name and labels are the same, the server is another."""
        theirs = self.state.of(CLUSTERS)["us-central1-c/theirs"]
        self.state.of(CLUSTERS)[PLACE] |= {name: theirs[name] for name in ("endpoint", "masterAuth")}

    def foreign(self) -> dict[str, Any]:
        """All that is in the other cluster."""
        return copy.deepcopy(dict(self.theirs.objects))

    def run(self, command: str, case: Case) -> Told:
        """What `ui` does, what `clean` lists where nobody says yes to it, or what it does with `--yes`."""
        act: Callable[[Any], None] = lambda c: running.up(c, "ui")  # noqa: E731
        if command != "ui":
            act = partial(running.down, keep_models=False, yes=command == "clean --yes")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in case.variables.items():
                patch.setenv(name, value.replace("THEIRS", str(self.config)))
            return self.there.told(act, (CHANGE, *case.changes))


def nothing(place: Place) -> None:
    """All is as it was."""


@dataclass(frozen=True)
class Case:
    """How an environment is led astray, with what code `ui` ends, and what it and `clean` say.

    Where the code is 0, all that is done is done to the environment's own.
    """

    lead: Callable[[Place], object] = nothing
    ui: tuple[int, str] = (2, "")
    clean: str = "run   delete the cluster mnist-staging in us-central1-c"
    changes: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)


DEPLOY = "is not there: `invoke --env=staging deploy` makes it"
DEPLOY_FIRST = "`invoke --env=staging deploy` has not been run"
OTHERS = "the cluster mnist-staging in us-central1-c belongs to"
LEFT = "the cluster mnist-staging in us-central1-c is left alone: it belongs to"
HERE = (0, "apply ")

CASES = {
    "another environment's mark": Case(
        lambda place: place.mark(environment="production"),
        (2, "belongs to somebody else (environment production, not staging)"),
        "belongs to somebody else (environment production, not staging)",
    ),
    "another project's mark": Case(
        lambda place: place.mark(project="their-project"),
        (2, "(project their-project, not demo-project-1)"), "(project their-project, not demo-project-1)",
    ),
    "another zone's mark": Case(
        lambda place: place.mark(location="europe-west4-a"),
        (2, "(location europe-west4-a, not us-central1-c)"), "(location europe-west4-a, not us-central1-c)",
    ),
    "another pipeline's mark": Case(
        lambda place: place.mark(name="fashion"),
        (2, "(name fashion, not mnist-staging)"), "(name fashion, not mnist-staging)",
    ),
    "no mark": Case(Place.unmark, (2, DEPLOY_FIRST)),
    "no labels": Case(Place.label, (2, OTHERS), f"{LEFT} somebody else: it does not bear this pipeline's labels"),
    "another environment's labels": Case(
        lambda place: place.label(environment="production"), (2, OTHERS), f"{LEFT} environment production",
    ),
    "a kubeconfig that leads elsewhere": Case(Place.mislead, HERE),
    "a cluster made anew by hand": Case(Place.move, (2, DEPLOY_FIRST)),
    "a cluster that is gone": Case(Place.vanish, (2, DEPLOY), "run   delete the bucket"),
    "the name of another's cluster": Case(
        ui=(2, "the cluster theirs in us-central1-c belongs to somebody else"), changes=("name=theirs",),
        clean="the cluster theirs in us-central1-c is left alone: it belongs to somebody else",
    ),
    "another zone": Case(ui=(2, DEPLOY), clean="run   delete the bucket", changes=("gcp.zone=us-central1-f",)),
    "KUBECONFIG": Case(ui=HERE, variables={"KUBECONFIG": "THEIRS"}),
    "gcloud's own choice of a cluster": Case(
        ui=HERE, variables={"CLOUDSDK_CONTAINER_CLUSTER": "theirs", "CLOUDSDK_COMPUTE_ZONE": "us-central1-f"},
    ),
}  # fmt: skip
"""Without a mark of its own a cluster with our labels is one whose `deploy` broke off: `clean` takes it."""


@dataclass(frozen=True)
class Played:
    """What each command did, and whether the other cluster and ours were the same after both."""

    ui: Told
    clean: Told
    theirs_untouched: bool
    ours_untouched: bool


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Place]:
    with quick(tmp_path_factory.mktemp("astray"), version, *STAGES) as there:
        yield Place(there)
        assert there.cloud.state.unknown == []


@pytest.fixture(scope="module")
def played(place: Place) -> dict[str, Played]:
    """Each case in turn, in one environment that is brought back to what it was."""
    restore, kubeconfig, found = place.there.restoring(), place.kubeconfig.read_text(), dict[str, Played]()
    for name, case in CASES.items():
        theirs = place.foreign()
        case.lead(place)
        ours = copy.deepcopy(dict(place.there.cluster.objects))
        ui, clean = place.run("ui", case), place.run("clean", case)
        found[name] = Played(ui, clean, place.foreign() == theirs, dict(place.there.cluster.objects) == ours)
        restore()
        place.kubeconfig.write_text(kubeconfig)
    return found


def test_there_are_a_dozen_ways_to_go_astray() -> None:
    assert len(CASES) >= 12


@pytest.mark.parametrize("name", CASES)
def test_fault_20_nothing_is_changed_in_a_cluster_that_is_not_ours(played: dict[str, Played], name: str) -> None:
    writes = [line for run in (played[name].ui, played[name].clean) for line in run.writes if "theirs" in line]
    assert (writes, played[name].theirs_untouched) == ([], True)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.ui[0]])
def test_fault_20_apply_refuses_before_any_change(played: dict[str, Played], name: str) -> None:
    run = played[name].ui
    assert (run.code, run.writes, played[name].ours_untouched) == (2, [], True), run.said
    assert CASES[name].ui[1] in run.error


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.ui[0]])
def test_fault_20_what_leads_elsewhere_is_not_followed(played: dict[str, Played], name: str) -> None:
    run = played[name].ui
    assert (run.code, len(run.writes)) == (0, 1), run.said
    assert run.writes[0].startswith("PATCH kubernetes/mnist-staging/")


@pytest.mark.parametrize("name", CASES)
def test_fault_20_clean_lists_what_is_ours_and_says_what_is_not(played: dict[str, Played], name: str) -> None:
    run = played[name].clean
    assert (run.code, run.writes, CASES[name].clean in run.said) == (2, [], True), run.said


def test_fault_20_a_clean_that_was_led_elsewhere_takes_our_own_cluster(place: Place, played: dict[str, Played]) -> None:
    theirs = place.foreign()
    place.mislead()
    run = place.run("clean --yes", Case())
    assert (run.code, place.foreign()) == (0, theirs), run.said
    assert list(place.state.of(CLUSTERS)) == ["us-central1-c/theirs"]
