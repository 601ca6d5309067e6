"""What `plan`, `--dry` and `clean` say beforehand: as files to read, and as what then happens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.world import OPERATOR
from pipeline.stages import OPTIONAL, STAGES
from tests.gke.conftest import REAL
from tests.gke.flows import Flow, flowing

EXPECTED = Path(__file__).parent / "expected"
ENVIRONMENTS = ("staging", "production")
CHANGED = ("--set", "web_ui.replicas=3", "--set", "cluster.max_nodes=4", "--set", "training.steps=90")

ODD = (
    (r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:<port>"),
    (r"sha256:[0-9a-f]{64}", "sha256:<digest>"),
    (r"\b(train|web-ui|notebook):[0-9a-f]{12}", r"\1:<code>"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uid>"),
    (r"\b\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>"),
    (r"\b1[78]\d{8}\b", "<tag>"),
    (r"\b(tune|preflight)-[0-9a-f]{10}\b", r"\1-<experiment>"),
)
"""What differs from run to run or from machine to machine, and what stands for it in the files."""

COMMANDS = (*(f"--dry {name}" for name in (*STAGES, *OPTIONAL)), "--dry clean")


def plain(flow: Flow, text: str) -> str:
    """The text as a file has it."""
    text = text.replace(str(flow.cloud.checkout.root), "/checkout").replace(str(OPERATOR), "/operator")
    text = text.replace(str(flow.cloud.world.login.folder), "/login")
    for pattern, instead in ODD:
        text = re.sub(pattern, instead, text)
    return text


def foretold(said: str) -> list[str]:
    """The changes that a plan names, in their order."""
    return [line.removeprefix("  run   ") for line in said.splitlines() if line.startswith("  run   ")]


def done(said: str) -> list[str]:
    """The changes that a run showed, in their order."""
    lines = [line[4:] for line in said.partition("\n\n")[0].splitlines() if re.match(r" {4}\S", line)]
    return [line for line in lines if not line.startswith(("unchanged: ", "wait for "))]


class Planned(Flow):
    """An environment's plans at each point of its life."""

    def live(self, whole: bool) -> None:
        """The whole life, or what is said before anything is there."""
        for words in COMMANDS:
            self.run(words, *words.split())
        self.asked = list(self.cloud.state.requests)
        self.run("from nothing", "plan")
        if not whole:
            self.elsewhere = "staging's life, and production's in tests/gke/test_variants.py,"
            return
        self.run("all", "all")
        self.run("unchanged", "plan")
        self.run("changed", "plan", *CHANGED)
        self.run("all changed", "all", *CHANGED)
        self.run("clean", "clean", f"--yes-i-mean={self.env}")

    def text(self, name: str) -> str:
        """What a run said, as a file has it; of `clean` only what it said beforehand."""
        said = self[name].said
        if name == "clean":
            said = "".join(line for line in said.splitlines(keepends=True) if line.startswith("  run   "))
        return plain(self, said)


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def planned(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, version: Path
) -> Iterator[Planned]:
    with flowing(tmp_path_factory.mktemp("planned"), version, env=request.param, kind=Planned) as flow:
        flow.live(whole=request.param == ENVIRONMENTS[0] or request.config.getoption("--every"))
        yield flow


FILES = {
    **{words: f"{words.removeprefix('--dry ')}-commands.txt" for words in COMMANDS},
    "from nothing": "plan-from-nothing.txt", "unchanged": "plan-unchanged.txt", "changed": "plan-changed.txt",
    "clean": "plan-clean.txt",
}  # fmt: skip
"""Run → the file that has its words."""


@pytest.mark.parametrize("name", FILES)
def test_the_words_are_those_of_the_file(planned: Planned, name: str, pytestconfig: pytest.Config) -> None:
    path, text = EXPECTED / planned.env / FILES[name], planned.text(name)
    if pytestconfig.getoption("--write-expected"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_every_file_belongs_to_a_run() -> None:
    there = {path.relative_to(EXPECTED).as_posix() for path in EXPECTED.rglob("*.txt")}
    assert there == {f"{environment}/{name}" for environment in ENVIRONMENTS for name in FILES.values()}


@pytest.mark.parametrize(
    ("name", "code"),
    [("from nothing", 2), ("unchanged", 0), ("changed", 2), ("all", 0), ("all changed", 0), ("clean", 0)],
)
def test_a_plan_ends_with_2_where_something_would_change(planned: Planned, name: str, code: int) -> None:
    assert planned[name].code == code, planned[name].said


@pytest.mark.parametrize("name", ["from nothing", "unchanged", "changed"])
def test_a_plan_changes_nothing(planned: Planned, name: str) -> None:
    assert planned[name].writes == []


@pytest.mark.parametrize(("before", "after"), [("from nothing", "all"), ("changed", "all changed")])
def test_what_a_plan_names_is_what_then_happens(planned: Planned, before: str, after: str) -> None:
    """The reason for a version is known only once the bucket is there."""
    told, happened = (
        [re.sub(r"^(make version <tag>): .*", r"\1", plain(planned, line)) for line in lines]
        for lines in (foretold(planned[before].said), done(planned[after].said))
    )
    assert told == happened


def test_what_clean_names_beforehand_is_what_then_happens(planned: Planned) -> None:
    said = planned["clean"].said
    assert foretold(said) == [line for line in done(said) if not line.startswith("  run")]


@pytest.mark.parametrize(("before", "after"), [("from nothing", "all"), ("changed", "all changed"), ("clean", "clean")])
def test_what_is_written_is_what_was_named_and_nothing_besides(planned: Planned, before: str, after: str) -> None:
    """Each change that the plan names stands for one or more requests; in their order they are all there were."""
    named, writes = foretold(planned[before].said), planned[after].writes
    patterns = [
        next((write for line, write in MEANS if re.match(line, name)), f"no pattern for: {name}") for name in named
    ]
    whole = "".join(f"(?:(?:{pattern})\n)+" if pattern else "" for pattern in patterns)
    assert re.fullmatch(whole, "".join(f"{write}\n" for write in writes)), (patterns, writes)


OBJECT = "(?:POST|PATCH) kubernetes/"
MEANS = (
    ("turn on ", r"POST serviceusage/\S+"),
    ("create the image registry ", r"POST artifactregistry/\S+/repositories"),
    ("create the service account ", r"POST iam/\S+/serviceAccounts"),
    ("(give|take) roles/.* on project ", r"POST cloudresourcemanager/\S+:setIamPolicy"),
    ("(give|take) roles/.*-docker.pkg.dev", r"POST artifactregistry/\S+:setIamPolicy"),
    ("create the bucket ", "POST storage/storage/v1/b"),
    ("create the cluster ", r"POST container/\S+/clusters"),
    ("let the cluster .* grow", r"(?:PUT|POST) container/\S+"),
    ("make namespace ", rf"{OBJECT}\S+/api/v1/namespaces"),
    ("note in the cluster ", rf"{OBJECT}\S+/configmaps"),
    ("install the training operator", r"PATCH kubernetes/\S+"),
    ("note that all of it was installed", r"PATCH kubernetes/\S+/training-operator"),
    ("apply ServiceAccount", rf"{OBJECT}\S+/serviceaccounts"),
    ("apply Job ", rf"{OBJECT}\S+/jobs"),
    ("apply TFJob ", rf"{OBJECT}\S+/tfjobs"),
    ("apply ConfigMap mnist-serving, ", rf"{OBJECT}\S+/(?:configmaps|deployments)(?:/mnist-serving)?"),
    ("record that version ", r"POST storage/upload/\S+"),
    ("have the pods of serving look", rf"{OBJECT}\S+/pods/mnist-serving-\S+"),
    ("apply Service ", rf"{OBJECT}\S+/services"),
    ("apply PodDisruptionBudget ", rf"{OBJECT}\S+/(?:poddisruptionbudgets|networkpolicies)"),
    ("apply Deployment web-ui, ", rf"{OBJECT}\S+/(?:deployments|services)(?:/web-ui)?"),
    ("(give|take) the workloads' access", r"PUT storage/\S+/iam"),
    ("build ", ""),
    ("push ", "POST artifactregistry/fake/push"),
    ("make version ", r"POST storage/upload/\S+"),
    ("delete services ", r"DELETE kubernetes/\S+/services/\S+"),
    ("delete the cluster ", r"DELETE container/\S+"),
    ("delete the service account ", r"DELETE iam/\S+"),
    ("delete the image registry ", r"DELETE artifactregistry/\S+"),
    ("delete the bucket ", r"DELETE storage/\S+"),
    ("delete /", ""),
)
"""What a plan calls a change, and the requests that it is; empty: it reaches nobody."""


def test_a_dry_run_asks_nobody_anything(planned: Planned) -> None:
    assert planned.asked == []


@pytest.mark.parametrize("words", COMMANDS)
def test_a_dry_run_succeeds(planned: Planned, words: str) -> None:
    assert planned[words].code == 0, planned[words].said


def test_a_plan_shows_how_an_object_would_differ(planned: Planned) -> None:
    before = {"staging": 1, "production": 2}[planned.env]
    lines = [line.strip() for line in planned["changed"].said.splitlines()]
    assert f"-  replicas: {before}" in lines
    assert "+  replicas: 3" in lines


def test_a_plan_names_the_input_that_changed(planned: Planned) -> None:
    before = {"staging": 2000, "production": 6000}[planned.env]
    assert re.search(rf"run   make version \d+: training.steps {before} → 90\n", planned["changed"].said)


@pytest.mark.parametrize("name", ["from nothing", "unchanged", "changed"])
def test_a_plan_estimates_what_it_costs_and_says_where_the_prices_are_from(planned: Planned, name: str) -> None:
    assert re.search(r"cost estimate, \$ an hour: list prices noted .*, us-central1, \d{4}-\d\d", planned[name].said)


def test_every_request_of_the_plans_was_known(planned: Planned) -> None:
    assert planned.cloud.state.unknown == []


@REAL
@pytest.mark.slow
def test_the_real_clients_are_told_to_do_the_same(tmp_path: Path, version: Path) -> None:
    with flowing(tmp_path, version, real=True) as flow:
        flow.run("from nothing", "plan")
        assert foretold(plain(flow, flow["from nothing"].said)) == foretold(
            (EXPECTED / "staging" / FILES["from nothing"]).read_text()
        )
        assert (flow["from nothing"].writes, flow.cloud.state.unknown) == ([], [])
