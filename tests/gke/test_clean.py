"""Taking an environment down: all that is its own, nothing of anybody else's, and after any failure the rest."""

from __future__ import annotations

import contextlib
import copy
import os
import pty
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cloud import Cloud
from fakes.google import artifactregistry
from fakes.google.balancers import thing
from fakes.google.policies import change_policy, policy
from tests.gke.breaking_off import kept, way_on
from tests.gke.flows import Flow, Run, flowing

NAME = "name=mnist"
"""What the planted things of others are named after, and in part labelled with."""

PUBLIC = "web_ui.service_type=LoadBalancer"
BUCKET = "demo-project-1-mnist-staging-bucket"
ROOMY = {"CPUS": 64, "STATIC_ADDRESSES": 64, "IN_USE_ADDRESSES": 64}

NewFlow = Callable[..., Flow]


@pytest.fixture(scope="module")
def new_flow(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[NewFlow]:
    """Makes environments, each in a cloud of its own; all end with the module."""
    with ExitStack() as stack:
        yield lambda *changes: stack.enter_context(flowing(tmp_path_factory.mktemp("clean"), version, *changes))


def everything(cloud: Cloud) -> dict[tuple[str, str], Any]:
    """All that exists, each thing whole: (collection, name) → what the API would answer."""
    kinds = ("container.clusters", "artifactregistry.", "iam.", "storage.", "servicemanagement.", "compute.")
    return {
        (kind, name): copy.deepcopy(one)
        for kind, objects in cloud.state.objects.items() if kind.startswith(kinds) and kind != "compute.operations"
        for name, one in objects.items()
    }  # fmt: skip


class Among(Flow):
    """An environment among the things of others: before it came, and after it went."""

    planted: list[str]
    before: dict[tuple[str, str], Any]
    after: dict[tuple[str, str], Any]


@pytest.fixture(scope="module")
def among(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Among]:
    with flowing(tmp_path_factory.mktemp("among"), version, NAME, PUBLIC, kind=Among) as flow:
        for quota, limit in ROOMY.items():
            flow.cloud.world.quota(quota, limit)
        flow.planted = flow.cloud.world.plant()
        flow.empty, flow.before = flow.cloud.world.summary(), everything(flow.cloud)
        flow.run("all", "all")
        flow.run("unasked", "clean")
        flow.run("clean", "clean", "--yes")
        flow.after = everything(flow.cloud)
        flow.run("again", "clean", "--yes")
        yield flow


def test_an_environment_comes_up_among_the_things_of_others(among: Among) -> None:
    assert (among["all"].code, len(among.planted) > 50) == (0, True), among["all"].said


def test_fault_76_nothing_of_others_is_gone(among: Among) -> None:
    assert [line for line in among.empty if line not in among["clean"].left] == []


def test_fault_76_nothing_of_others_is_changed(among: Among) -> None:
    assert {place for place, one in among.before.items() if among.after.get(place) != one} == set()


def test_fault_76_nothing_of_ours_is_left(among: Among) -> None:
    assert (among["clean"].code, among.new("clean")) == (0, []), among["clean"].said


def test_fault_76_nobody_looks_into_the_clusters_of_others(among: Among) -> None:
    asked = {re.sub(r".* kubernetes/([^/]+)/.*", r"\1", line) for line in among.cloud.state.requests
             if " kubernetes/" in line}  # fmt: skip
    assert asked == {"mnist-us-central1-c"}


def test_fault_77_without_a_terminal_and_without_yes_nothing_goes(among: Among) -> None:
    run = among["unasked"]
    assert (run.code, run.writes, run.left) == (2, [], among["all"].left), run.said


def test_fault_77_what_would_go_is_listed_before_the_refusal(among: Among) -> None:
    listed, refused = among["unasked"].said.split("nothing was deleted: ")
    for one in ("the cluster mnist", "the address mnist-web", "the bucket gs://demo-project-1-mnist-bucket",
                  "the image registry", "the service account mnist-nodes@"):  # fmt: skip
        assert re.search(f"  run +(delete|give up) {one}", listed), (one, listed)
    assert "add --yes if you mean it" in refused


def test_fault_79_cleaning_twice_is_no_change(among: Among) -> None:
    assert (among["again"].code, among["again"].writes) == (0, []), among["again"].said


def test_clean_ends_with_what_it_looked_for_and_did_not_find(among: Among) -> None:
    for name in ("clean", "again"):
        last = among[name].said.strip().splitlines()[-1]
        assert re.search(r"nothing is left: looked for \d+ things, found 0$", last), last


def place_of(run: Run, pattern: str) -> int:
    """The place of the only write that matches."""
    (place,) = [number for number, line in enumerate(run.writes) if re.search(pattern, line)]
    return place


def test_the_pages_load_balancer_goes_before_its_cluster(among: Among) -> None:
    service, cluster = (place_of(among["clean"], pattern) for pattern in ("services/web-ui$", "DELETE container/"))
    assert service < cluster


def test_the_cluster_goes_before_the_account_and_the_address_that_it_uses(among: Among) -> None:
    patterns = ("DELETE container/", "DELETE compute/.*/addresses/", "DELETE iam/")
    cluster, *others = (place_of(among["clean"], pattern) for pattern in patterns)
    assert cluster < min(others)


def test_the_bucket_goes_last(among: Among) -> None:
    assert re.search("^DELETE storage/.*/b/demo-project-1-mnist-bucket$", among["clean"].writes[-1])


def test_every_request_among_others_was_known(among: Among) -> None:
    assert among.cloud.state.unknown == []


@pytest.fixture(scope="module")
def deployed_once(new_flow: NewFlow) -> Iterator[tuple[Flow, Callable[[], None]]]:
    """An environment with what `deploy` makes, and what brings the cloud back to that."""
    flow = new_flow()
    flow.run("deploy", "deploy")
    with kept(flow.cloud) as bring_back:
        yield flow, bring_back


@pytest.fixture
def deployed(deployed_once: tuple[Flow, Callable[[], None]]) -> Flow:
    """An environment with nothing but what `deploy` makes."""
    flow, bring_back = deployed_once
    bring_back()
    return flow


def at_terminal(flow: Flow, name: str, answer: bytes) -> Run:
    """Run `clean` at a terminal where somebody types this as soon as it asks."""
    flow.cloud.state.writes.clear()
    master, slave = pty.openpty()
    process = subprocess.Popen(
        flow.cloud.argv("clean"), cwd=flow.cloud.checkout.root, env=flow.cloud.environ(), stdin=slave, stdout=slave,
        stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    said, asked = b"", False
    with contextlib.suppress(OSError):  # the terminal's other end is closed: it has ended
        while part := os.read(master, 4096):
            said += part
            if not asked and said.endswith(b"[y/N] "):
                asked = bool(os.write(master, answer))
    os.close(master)
    writes = list(flow.cloud.state.writes)
    flow.runs[name] = Run(process.wait(30), said.decode(), writes, flow.cloud.world.summary())
    return flow.runs[name]


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"\x04"], ids=["n", "enter", "ctrl-d"])
def test_fault_77_any_answer_but_yes_leaves_everything(deployed: Flow, answer: bytes) -> None:
    run = at_terminal(deployed, "asked", answer)
    assert (run.code, run.writes, run.left) == (1, [], deployed["deploy"].left), run.said
    assert "Take all of that down in environment staging? [y/N]" in run.said
    assert run.said.rstrip().endswith("nothing was deleted"), run.said


def test_fault_77_yes_at_a_terminal_is_enough(deployed: Flow) -> None:
    run = at_terminal(deployed, "yes", b"y\n")
    assert (run.code, deployed.new("yes"), deployed.cloud.state.unknown) == (0, [], []), run.said


WRONG = {
    "no name": ("--yes",), "another's name": ("--yes-i-mean=staging",), "half a name": ("--yes-i-mean=prod",),
    "yes and another's name": ("--yes", "--yes-i-mean=staging"), "the models' keeping": ("--yes", "--keep-models"),
}  # fmt: skip


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_fault_78_a_protected_environment_wants_its_own_name(deployed: Flow, words: tuple[str, ...]) -> None:
    deployed.cloud.state.requests.clear()
    said = deployed.cloud.invoke("clean", *words, env="production", code=2)
    assert (deployed.cloud.state.requests, "Take all" in said) == ([], False)


def test_fault_78_the_refusal_says_the_command_that_would_do_it(deployed: Flow) -> None:
    said = deployed.cloud.invoke("clean", "--keep-models", env="production", code=2)
    assert re.search("`invoke --env=production .*clean --yes-i-mean=production --keep-models`", said), said


def test_fault_78_the_name_of_another_environment_is_no_yes_either(deployed: Flow) -> None:
    said = deployed.cloud.invoke("clean", "--yes-i-mean=production", code=2)
    assert "--yes-i-mean=production: this is environment staging; nothing was done" in said


KEEPING = ("clean", "--keep-models", "--yes")


@pytest.fixture(scope="module")
def refused(deployed_once: tuple[Flow, Callable[[], None]]) -> Flow:
    """`clean --keep-models` of which everything fails, and the command that it says to go on with."""
    flow, bring_back = deployed_once
    bring_back()
    flow.cloud.state.fault("", writes=True, status=403, times=99)
    flow.run("first", *KEEPING)
    flow.cloud.state.faults.clear()
    flow.run("second", *KEEPING)
    return flow


def test_fault_79_going_on_is_with_what_was_typed(refused: Flow) -> None:
    """Above all with --keep-models, and in the place that --set led to."""
    said = refused.cloud.argv(*KEEPING)[2:]
    assert (refused["first"].code, way_on(refused["first"])) == (1, said), refused["first"].said


def test_fault_79_going_on_completes_and_keeps_the_models(refused: Flow) -> None:
    left = [line for line in refused.new("second") if f"bucket {BUCKET}" not in line]
    marks = "environment=staging managed-by=kubeflow-mnist-pipeline part-of=mnist-staging"
    assert (refused["second"].code, left) == (0, [f"storage.buckets {BUCKET} {marks}"]), refused["second"].said


class Orphaned(Flow):
    """An environment whose cluster was deleted by hand, beside what the cluster of somebody else left."""

    left_by_hand: list[str]
    others: list[str]


VOLUME = {"goog-gke-volume": "", "goog-k8s-cluster-name": "mnist-staging", "goog-k8s-cluster-location": "us-central1-c"}
"""What GKE labels a volume's disk with: a cluster of our name, which may have been somebody else's."""


@pytest.fixture(scope="module")
def orphaned(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Orphaned]:
    with flowing(tmp_path_factory.mktemp("orphaned"), version, PUBLIC, kind=Orphaned) as flow:
        world, state = flow.cloud.world, flow.cloud.state
        flow.run("all", "all")
        world.cluster("mnist-staging").add("persistentvolumeclaims", {
            "metadata": {"namespace": "kubeflow", "name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]},
        })  # fmt: skip
        before = world.summary()
        foreign = {
            "compute.disks": thing("zones/us-central1-c/disks/pvc-theirs", labels=VOLUME),
            "compute.forwardingRules": thing("regions/us-central1/forwardingRules/theirs", IPAddress="198.51.100.99"),
            "compute.backendServices": thing("regions/us-central1/backendServices/k8s2-theirs-kubeflow-web-ui"),
            "compute.addresses": thing("regions/us-central1/addresses/mnist-staging-web-2", address="198.51.100.99"),
        }  # fmt: skip
        for kind, (path, one) in foreign.items():
            state.of(kind)[path] = one
        flow.others = [line for line in world.summary() if line not in before]
        delete = ("gcloud", "container", "clusters", "delete", "mnist-staging", "--location=us-central1-c")
        world.run(*delete, f"--project={world.project}", "--quiet", check=True, env=by_hand(flow.cloud))
        flow.left_by_hand = [line for line in world.summary() if line.startswith("compute.")]
        flow.run("clean", "clean", "--yes")
        yield flow


def by_hand(cloud: Cloud) -> dict[str, str]:
    """The variables of a person's own gcloud: where it finds Kubernetes Engine."""
    return {**cloud.world.env(), "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER": f"{cloud.world.api_address}/container/"}


def test_a_cluster_deleted_by_hand_leaves_things_behind(orphaned: Orphaned) -> None:
    kinds = {line.split()[0] for line in orphaned.left_by_hand if line not in orphaned.others}
    assert kinds == {
        f"compute.{kind}" for kind in ("addresses", "backendServices", "disks", "firewalls", "forwardingRules")
    }


def test_clean_removes_what_a_cluster_deleted_by_hand_left(orphaned: Orphaned) -> None:
    left = [line for line in orphaned.new("clean") if line not in orphaned.others]
    assert (orphaned["clean"].code, left, orphaned.cloud.state.unknown) == (0, [], []), orphaned["clean"].said


def test_fault_76_what_others_clusters_left_stays(orphaned: Orphaned) -> None:
    assert [line for line in orphaned.others if line not in orphaned["clean"].left] == []


def test_fault_76_what_bears_our_names_and_is_not_ours_stays(new_flow: NewFlow) -> None:
    """A registry, an account with a role, an address, a bucket and a cluster of others, each named as ours would be."""
    flow = new_flow()
    world, state = flow.cloud.world, flow.cloud.state
    world.enable()
    email = "mnist-staging-nodes@demo-project-1.iam.gserviceaccount.com"
    registry = artifactregistry.full("us-central1", "mnist-staging")
    state.of("artifactregistry.repositories")[registry] = {"name": registry, "format": "DOCKER", "labels": {}}
    state.of("iam.accounts")[email] = {"name": email, "email": email, "uniqueId": "1", "description": "terraform's"}
    for where, role in (("project", "container.defaultNodeServiceAccount"), (registry, "artifactregistry.reader")):
        there = policy(state, where)
        one = {"role": f"roles/{role}", "members": [f"serviceAccount:{email}"]}
        change_policy(state, where, {**there, "bindings": [*there["bindings"], one]})
    path, address = thing("regions/us-central1/addresses/mnist-staging-web", address="198.51.100.77")
    state.of("compute.addresses")[path] = address
    world.add_bucket(BUCKET, labels={"managed-by": "terraform"})
    world.put(BUCKET, "export/1/saved_model.pb", b"somebody's model")
    world.add_cluster("mnist-staging", resourceLabels={"environment": "staging"})
    before = everything(flow.cloud)
    for words in (["--yes"], ["--yes", "--keep-models"]):
        run = flow.run("clean", "clean", *words)
        assert (run.code, run.writes, everything(flow.cloud)) == (0, [], before), run.said
    assert run.said.count("is left alone: it belongs to somebody else") >= 4, run.said
    assert state.unknown == []


def test_fault_76_a_bucket_that_nobody_lets_us_see_is_no_proof(deployed: Flow) -> None:
    """It may be another project's, or ours and we have lost the permission: the rest goes, and that is said."""
    flow = deployed
    flow.cloud.world.add_bucket(BUCKET, ours=False)
    run = flow.run("clean", "clean", "--yes")
    assert (run.code, [line for line in flow.new("clean") if BUCKET not in line]) == (1, []), run.said
    said = run.said.partition("clean left something behind:")[2]
    assert (said.count("does not have storage.buckets.get"), BUCKET in said) == (1, True), run.said
    assert flow.cloud.state.unknown == []


class Kept(Flow):
    """An environment that goes but for its models, comes again, and goes for good."""

    versions: list[str]


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Kept]:
    with flowing(tmp_path_factory.mktemp("keeping"), version, kind=Kept) as flow:
        flow.run("all", "all")
        flow.versions = list(flow.cloud.world.objects(BUCKET))
        flow.run("clean", "clean", "--keep-models", "--yes")
        flow.run("clean again", "clean", "--keep-models", "--yes")
        flow.run("all again", "all")
        flow.run("models", "models")
        flow.run("end", "clean", "--yes")
        yield flow


def tag_of(run: Run) -> str:
    match = re.search(r"version (\d{10})", run.summary["train"])
    assert match, run.said
    return match[1]


def test_clean_can_leave_the_bucket_with_all_its_versions(keeping: Kept) -> None:
    kept = [line.removeprefix(f"object {BUCKET}/") for line in keeping["clean"].left if line.startswith("object ")]
    assert (keeping["clean"].code, kept) == (0, keeping.versions), keeping["clean"].said


def test_clean_that_leaves_the_bucket_says_so_where_it_ends(keeping: Kept) -> None:
    last = keeping["clean"].said.strip().splitlines()[-1]
    assert last.endswith(f"found 0; the models are kept in gs://{BUCKET}"), last


def test_clean_that_leaves_the_bucket_takes_the_workloads_access_and_all_else(keeping: Kept) -> None:
    owner = "roles/storage.legacyBucketOwner project"
    new = [line for line in keeping.new("clean") if not line.startswith(("object ", f"storage.buckets {BUCKET}"))]
    assert [line for line in new if owner not in line] == []


def test_fault_79_keeping_the_models_twice_is_no_change(keeping: Kept) -> None:
    assert (keeping["clean again"].code, keeping["clean again"].writes) == (0, []), keeping["clean again"].said


def test_models_that_were_kept_are_served_again_without_a_training(keeping: Kept) -> None:
    again = keeping["all again"]
    assert (again.code, tag_of(again)) == (0, tag_of(keeping["all"])), again.said
    assert [line for line in again.writes if line.endswith("/tfjobs")] == []


def test_models_that_were_kept_are_listed_again(keeping: Kept) -> None:
    assert re.search(rf"^{tag_of(keeping['all'])} .*AVAILABLE", keeping["models"].said, re.MULTILINE)


def test_a_clean_without_keeping_takes_the_kept_models_too(keeping: Kept) -> None:
    assert (keeping["end"].code, keeping.new("end"), keeping.cloud.state.unknown) == (0, [], []), keeping["end"].said
