"""Other kinds of environments: each comes up, stays as it is the second time, and goes down to nothing."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.stages import STAGES
from tests.gke.flows import Flow, flowing

HOST = "mnist-staging.endpoints.demo-project-1.cloud.goog"
DOOR = "roles/iap.httpsResourceAccessor"
IAP_CHANGES = ("iap.enabled=true", "iap.members=[user:ann@example.org]")


@dataclass(frozen=True)
class Variant:
    """Settings that belong together, where they hold, and what their `clean` wants to hear."""

    changes: tuple[str, ...] = ()
    env: str = "staging"
    agreed: str = "--yes"
    docker: bool = True
    more: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Further runs before `clean`, by name."""


VARIANTS = {
    "Autopilot with a key": Variant(("cluster.autopilot=true", "identity=key-secret")),
    "Spot, GPUs, Cloud Build, a load balancer": Variant((
        "cluster.spot=true", "training.gpus=1", "build_images.tool=cloud-build", "web_ui.service_type=LoadBalancer",
        "web_ui.source_ranges=[203.0.113.0/24]",
    )),
    "IAP, no docker": Variant(IAP_CHANGES, docker=False, more={
        "guests": ("ui", "--set", "iap.members=[user:bob@example.org]"),
        "shut": ("ui", "--set", "iap.enabled=false"),
    }),
    "production": Variant(env="production", agreed="--yes-i-mean=production", more={"refused": ("clean", "--yes")}),
}  # fmt: skip
AUTOPILOT, SPOT, IAP, PRODUCTION = VARIANTS


class Life(Flow):
    """A variant's flow, and how its world was when everything was up."""

    world: dict[str, dict[str, Any]]

    def cluster(self) -> dict[str, Any]:
        (one,) = self.world["container.clusters"].values()
        return dict(one)

    def inside(self, name: str) -> dict[str, Any]:
        """An object in the cluster, as `services/web-ui` names it."""
        kind, _, name = name.partition("/")
        found = [
            one for key, one in self.world[self.api()].items() if re.fullmatch(rf"{kind}[^/]*/kubeflow/{name}", key)
        ]
        assert len(found) == 1, (name, sorted(self.world[self.api()]))
        return dict(found[0])

    def api(self) -> str:
        return next(name for name in self.world if name.startswith("kubernetes/"))


Lives = Callable[[str], Life]


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory, version: Path) -> Iterator[Lives]:
    """Each variant's life by its name; it is lived when the first test asks for it."""
    known: dict[str, Life] = {}
    with contextlib.ExitStack() as stack:

        def of(name: str) -> Life:
            if name not in known:
                variant, folder = VARIANTS[name], tmp_path_factory.mktemp("variant")
                flow = stack.enter_context(flowing(folder, version, *variant.changes, env=variant.env, kind=Life))
                known[name] = lived(flow, variant)
            return known[name]

        yield of


def lived(flow: Life, variant: Variant) -> Life:
    flow.cloud.world.docker.daemon(up=variant.docker)
    flow.run("first", "all")
    flow.world = copy.deepcopy({
        name: values for name, values in flow.cloud.state.objects.items()
        if name.startswith(("container.", "compute.", "iam.", "kubernetes/")) or name == "policies"
    })  # fmt: skip
    flow.run("again", "all")
    flow.run("plan", "plan")
    for name, words in variant.more.items():
        flow.run(name, *words)
    flow.run("clean", "clean", variant.agreed)
    return flow


every = pytest.mark.parametrize("name", VARIANTS)


@every
def test_it_comes_up(lives: Lives, name: str) -> None:
    assert (lives(name)["first"].code, tuple(lives(name)["first"].summary)) == (0, STAGES), lives(name)["first"].said


@every
def test_the_second_run_changes_nothing(lives: Lives, name: str) -> None:
    again = lives(name)["again"]
    assert (again.code, again.writes) == (0, []), again.said


@every
def test_the_second_run_says_that_all_is_unchanged(lives: Lives, name: str) -> None:
    changed = {stage: text for stage, text in lives(name)["again"].summary.items() if not text.startswith("unchanged")}
    assert changed == {}


@every
def test_the_plan_of_what_is_up_is_empty(lives: Lives, name: str) -> None:
    plan = lives(name)["plan"]
    assert (plan.code, "plan: nothing would change" in plan.said, plan.writes) == (0, True, []), plan.said


@every
def test_it_goes_down_to_nothing(lives: Lives, name: str) -> None:
    assert (lives(name)["clean"].code, lives(name).new("clean")) == (0, []), lives(name)["clean"].said


@every
def test_every_request_was_known(lives: Lives, name: str) -> None:
    lives(name)
    assert lives(name).cloud.state.unknown == []


def test_autopilot_makes_a_regional_cluster_whose_nodes_google_runs(lives: Lives) -> None:
    cluster = lives(AUTOPILOT).cluster()
    assert (cluster["autopilot"], cluster["location"]) == ({"enabled": True}, "us-central1")


def test_the_key_is_in_the_secret(lives: Lives) -> None:
    assert list(lives(AUTOPILOT).inside("secrets/user-gcp-sa")["data"]) == ["user-gcp-sa.json"]


def test_the_workloads_mount_the_key(lives: Lives) -> None:
    pod = lives(AUTOPILOT).inside("deployments/mnist-serving")["spec"]["template"]["spec"]
    assert "user-gcp-sa" in [volume.get("secret", {}).get("secretName") for volume in pod["volumes"]]


def test_spot_nodes_are_asked_for_in_both_pools(lives: Lives) -> None:
    pools = {pool["name"]: pool["config"].get("spot") for pool in lives(SPOT).cluster()["nodePools"]}
    assert pools == {"default-pool": True, "gpu": True}


def test_the_gpu_pool_grows_from_nothing(lives: Lives) -> None:
    (gpu,) = [pool for pool in lives(SPOT).cluster()["nodePools"] if pool["name"] == "gpu"]
    (accelerator,) = gpu["config"]["accelerators"]
    assert (accelerator["acceleratorType"], accelerator["acceleratorCount"]) == ("nvidia-tesla-t4", "1")
    assert (gpu["initialNodeCount"], gpu["autoscaling"]["minNodeCount"], gpu["autoscaling"]["maxNodeCount"]) == (
        0,
        0,
        1,
    )


def test_cloud_build_builds_both_images_and_docker_none(lives: Lives) -> None:
    life = lives(SPOT)
    builds = [write for write in life["first"].writes if re.fullmatch(r"POST cloudbuild/.*/builds", write)]
    assert (len(builds), life.cloud.world.docker.builds) == (2, [])


def test_a_trainer_for_gpus_is_built_with_tensorflows_cuda_libraries(lives: Lives) -> None:
    builds = [one["steps"][0]["args"] for one in lives(SPOT).cloud.state.of("cloudbuild.builds").values()]
    assert [args for args in builds if "--build-arg=TENSORFLOW=tensorflow[and-cuda]" in args] != []


def test_the_load_balancer_has_the_reserved_address_and_lets_in_who_may(lives: Lives) -> None:
    life = lives(SPOT)
    (address,) = [one["address"] for one in life.world["compute.addresses"].values()]
    service = life.inside("services/web-ui")
    assert service["status"]["loadBalancer"]["ingress"][0]["ip"] == address
    assert service["spec"]["loadBalancerSourceRanges"] == ["203.0.113.0/24"]
    assert life["first"].summary["ui"] == f"http://{address}"


def test_iap_leads_the_pages_name_to_the_reserved_address(lives: Lives) -> None:
    life = lives(IAP)
    (address,) = [one["address"] for one in life.world["compute.addresses"].values()]
    assert life.inside("ingresses/web-ui")["status"]["loadBalancer"]["ingress"] == [{"ip": address}]
    assert life["first"].summary["ui"] == f"https://{HOST} for user:ann@example.org"
    assert f"lead the DNS name {HOST} to {address}" in life["first"].said


def test_iap_lets_the_members_through_and_nobody_else(lives: Lives) -> None:
    doors = [policy["bindings"] for where, policy in lives(IAP).world["policies"].items() if where.startswith("iap ")]
    assert doors == [[{"role": DOOR, "members": ["user:ann@example.org"]}]]


def test_iap_guards_the_service_that_the_ingress_leads_to(lives: Lives) -> None:
    notes = lives(IAP).inside("services/web-ui")["metadata"]["annotations"]
    assert notes["cloud.google.com/backend-config"] == '{"default": "web-ui"}'
    assert lives(IAP).inside("backendconfigs/web-ui")["spec"]["iap"] == {"enabled": True}


def test_iap_lets_in_no_more_who_is_not_named_any_more(lives: Lives) -> None:
    guests = lives(IAP)["guests"]
    assert [line for line in guests.left if DOOR in line and "bob" in line] != []
    assert [line for line in guests.left if DOOR in line and "ann" in line] == []
    assert "let user:ann@example.org enter no more" in guests.said


def test_iap_switched_off_takes_the_entrance_away_before_its_guard(lives: Lives) -> None:
    writes = lives(IAP)["shut"].writes
    places = [re.sub(r"kubernetes/.*/", "", write) if "services" in write else write.split("/")[-2] for write in writes]
    assert places == ["ingresses", "managedcertificates", "backendconfigs", "PATCH web-ui"], writes


def test_fault_22_without_a_docker_daemon_cloud_build_builds(lives: Lives) -> None:
    life = lives(IAP)
    assert "docker's daemon does not answer here: Cloud Build builds instead" in life["first"].said
    assert len(life.cloud.state.of("cloudbuild.builds")) == 2


def test_production_has_two_of_each_server(lives: Lives) -> None:
    names = ("mnist-serving", "web-ui")
    replicas = {name: lives(PRODUCTION).inside(f"deployments/{name}")["spec"]["replicas"] for name in names}
    assert replicas == {"mnist-serving": 2, "web-ui": 2}


def test_production_wants_its_name_typed_before_it_goes(lives: Lives) -> None:
    refused = lives(PRODUCTION)["refused"]
    assert (refused.code, refused.writes) == (2, []), refused.said
    assert re.search("`invoke --env=production .*clean --yes-i-mean=production`", refused.said), refused.said
