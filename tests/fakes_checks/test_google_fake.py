"""Google's fakes against gcloud: every command that the pipeline runs, and what it says when it is refused.

With `--every` it is the real gcloud throughout, whose start takes a second or two each time. Else it is the stand-in
where it can be, which tests/fakes_checks/test_gcloud_standin.py holds against the real one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.google.iam import CANARY
from fakes.world import World
from pipeline.tools import APIS

PROJECT = "demo-project-1"
AT = "--location=us-central1-c"
IN_REGION = "--location=us-central1"
NODES = f"mnist-nodes@{PROJECT}.iam.gserviceaccount.com"
IMAGE = f"us-central1-docker.pkg.dev/{PROJECT}/mnist/train"
BUCKET = f"{PROJECT}-mnist-bucket"
DNS = f"mnist.endpoints.{PROJECT}.cloud.goog"
LABELS = "--labels=managed-by=kubeflow-mnist-pipeline,part-of=mnist,environment=staging"

Said = subprocess.CompletedProcess[str]
Gcloud = Callable[..., Said]


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A world in which every call that nobody knows fails the test."""
    real = bool(request.config.getoption("--every") or request.node.get_closest_marker("real_gcloud"))
    if real and shutil.which("gcloud") is None:
        pytest.skip("gcloud is not installed")
    with World(tmp_path, real=real) as made:
        yield made
        assert made.state.unknown == []


@pytest.fixture
def gcloud(world: World, tmp_path: Path) -> Gcloud:
    """Run gcloud in the world."""
    places = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name.upper()}": f"{world.api_address}/{end}"
              for name, end in APIS.items()}  # fmt: skip
    env = {**world.env(), **places, "KUBECONFIG": str(tmp_path / "kubeconfig"), "USE_GKE_GCLOUD_AUTH_PLUGIN": "True",
           "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "1", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
           "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1"}  # fmt: skip

    def run(*words: str, program: str = "gcloud") -> Said:
        ours = (f"--project={PROJECT}", "--quiet") if program == "gcloud" else ()
        return world.run(program, *words, *ours, env=env)

    return run


def told(said: Said) -> Any:
    """What a command answered as JSON."""
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def refused(said: Said) -> str:
    assert said.returncode == 1, said.stdout
    return said.stderr


# -- login, project, APIs ------------------------------------------------------------------------------------------


def test_gcloud_is_logged_in_and_gets_a_token(gcloud: Gcloud) -> None:
    assert told(gcloud("auth", "list", "--format=json")) == [{"account": "tester@example.org", "status": "ACTIVE"}]
    assert gcloud("auth", "print-access-token").stdout.strip() == "fake-token-1"


def test_login_that_was_never_made_is_missed(world: World, gcloud: Gcloud) -> None:
    world.login.leave()
    assert told(gcloud("auth", "list", "--format=json")) == []
    assert "You do not currently have an active account selected" in refused(gcloud("projects", "describe", PROJECT))


def test_login_that_ended_cannot_be_refreshed(world: World, gcloud: Gcloud) -> None:
    world.login.end()
    assert "There was a problem refreshing your current auth tokens" in refused(gcloud("projects", "describe", PROJECT))


@pytest.mark.real_gcloud
def test_token_that_expired_is_refused_once(world: World, gcloud: Gcloud) -> None:
    gcloud("projects", "describe", PROJECT)
    world.login.expire_tokens()
    assert "UNAUTHENTICATED" in refused(gcloud("projects", "describe", PROJECT))
    assert gcloud("projects", "describe", PROJECT).returncode == 0


def test_project_has_a_number_and_somebody_who_pays(gcloud: Gcloud) -> None:
    assert told(gcloud("projects", "describe", PROJECT, "--format=json"))["projectNumber"] == "123456789012"
    assert told(gcloud("billing", "projects", "describe", PROJECT, "--format=json"))["billingEnabled"] is True


def test_api_that_is_off_is_named_and_can_be_turned_on(gcloud: Gcloud) -> None:
    listing = ("container", "clusters", "list", "--format=json")
    assert "has not been used in project 123456789012 before or it is disabled" in refused(gcloud(*listing))
    assert gcloud("services", "enable", "container.googleapis.com", "iap.googleapis.com").returncode == 0
    assert "container.googleapis.com" in gcloud("services", "list", "--enabled", "--format=value(config.name)").stdout
    assert told(gcloud(*listing)) == []


def test_api_is_not_turned_on_where_nobody_pays(world: World, gcloud: Gcloud) -> None:
    world.billing(on=False)
    assert "Billing account for project" in refused(gcloud("services", "enable", "container.googleapis.com"))


def test_zones_and_quotas_are_told(world: World, gcloud: Gcloud) -> None:
    world.enable()
    assert told(gcloud("compute", "zones", "describe", "us-central1-c", "--format=json"))["status"] == "UP"
    assert "was not found" in refused(gcloud("compute", "zones", "describe", "us-central1-x"))
    quotas = told(gcloud("compute", "regions", "describe", "us-central1", "--format=json"))["quotas"]
    assert {"metric": "CPUS", "limit": 12.0, "usage": 0.0} in quotas


# -- clusters ------------------------------------------------------------------------------------------------------


def create(gcloud: Gcloud, *more: str) -> Said:
    return gcloud(
        "container", "clusters", "create", "mnist", AT, "--num-nodes=2", "--machine-type=e2-standard-4",
        "--enable-autoscaling", "--min-nodes=0", "--max-nodes=3", "--release-channel=regular", "--disk-size=50",
        f"--workload-pool={PROJECT}.svc.id.goog", LABELS, *more,
    )  # fmt: skip


def test_cluster_is_made_found_changed_and_deleted(world: World, gcloud: Gcloud) -> None:
    world.enable()
    describe = ("container", "clusters", "describe", "mnist", AT, "--format=json")
    assert "code=404, message=Not found" in refused(gcloud(*describe))
    assert create(gcloud, "--spot").returncode == 0
    assert "code=409, message=Already exists" in refused(create(gcloud))
    update = ("container", "clusters", "update", "mnist", AT, "--enable-autoscaling", "--min-nodes=0", "--max-nodes=4")
    assert gcloud(*update, "--node-pool=default-pool").returncode == 0
    found = told(gcloud(*describe))
    assert found["status"] == "RUNNING"
    assert found["resourceLabels"]["environment"] == "staging"
    assert found["nodePools"][0]["autoscaling"]["maxNodeCount"] == 4
    assert found["endpoint"] == world.cluster().endpoint
    assert gcloud("container", "clusters", "delete", "mnist", AT).returncode == 0
    assert told(gcloud("container", "clusters", "list", "--format=json")) == []


@pytest.mark.skipif(shutil.which("gke-gcloud-auth-plugin") is None, reason="gke-gcloud-auth-plugin is not installed")
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_credentials_of_a_cluster_lead_kubectl_to_it(world: World, gcloud: Gcloud) -> None:
    world.enable()
    world.add_cluster("mnist")
    assert gcloud("container", "clusters", "get-credentials", "mnist", AT).returncode == 0
    place = f"--context=gke_{PROJECT}_us-central1-c_mnist"
    assert "kube-system" in gcloud("get", "namespaces", "-o", "name", place, program="kubectl").stdout


def test_autopilot_cluster_is_regional(world: World, gcloud: Gcloud) -> None:
    world.enable()
    made = gcloud("container", "clusters", "create-auto", "mnist", IN_REGION, LABELS, "--release-channel=regular")
    assert made.returncode == 0, made.stderr
    found = told(gcloud("container", "clusters", "describe", "mnist", IN_REGION, "--format=json"))
    assert found["autopilot"]["enabled"] is True


def test_node_pool_for_gpus_is_made_once(world: World, gcloud: Gcloud) -> None:
    world.enable()
    world.add_cluster("mnist")
    pool = ("gpu", "--cluster=mnist", AT)
    assert "code=404" in refused(gcloud("container", "node-pools", "describe", *pool))
    words = ("--accelerator=type=nvidia-tesla-t4,count=1,gpu-driver-version=default", "--machine-type=n1-standard-4",
             "--num-nodes=0", "--enable-autoscaling", "--min-nodes=0", "--max-nodes=1")  # fmt: skip
    assert gcloud("container", "node-pools", "create", *pool, *words).returncode == 0
    found = told(gcloud("container", "node-pools", "describe", *pool, "--format=json"))
    assert found["autoscaling"]["maxNodeCount"] == 1


def test_more_cpus_than_the_quota_are_refused(world: World, gcloud: Gcloud) -> None:
    world.enable()
    world.quota("CPUS", 4)
    words = (
        "Insufficient regional quota to satisfy request: resource \"CPUS\": request requires '8.0' and is short '4.0'"
    )
    assert words in refused(create(gcloud))


def test_zone_out_of_stock_leaves_a_broken_cluster(world: World, gcloud: Gcloud) -> None:
    world.enable()
    world.fail_next("CREATE_CLUSTER", "ZONE_RESOURCE_POOL_EXHAUSTED: us-central1-c does not have enough resources")
    assert "ZONE_RESOURCE_POOL_EXHAUSTED" in refused(create(gcloud))
    assert told(gcloud("container", "clusters", "describe", "mnist", AT, "--format=json"))["status"] == "ERROR"


# -- registry and builds ---------------------------------------------------------------------------------------------


def test_registry_is_made_found_shared_and_deleted(world: World, gcloud: Gcloud) -> None:
    world.enable()
    repository = ("artifacts", "repositories")
    assert "NOT_FOUND" in refused(gcloud(*repository, "describe", "mnist", IN_REGION))
    make = (*repository, "create", "mnist", "--repository-format=docker", IN_REGION, LABELS, "--description=images")
    assert gcloud(*make).returncode == 0
    assert "ALREADY_EXISTS" in refused(gcloud(*make))
    found = told(gcloud(*repository, "describe", "mnist", IN_REGION, "--format=json"))
    assert found["labels"]["part-of"] == "mnist"
    member = ("--member=user:ann@example.org", "--role=roles/artifactregistry.reader")
    assert gcloud(*repository, "add-iam-policy-binding", "mnist", IN_REGION, *member).returncode == 0
    kept = told(gcloud(*repository, "get-iam-policy", "mnist", IN_REGION, "--format=json"))
    assert kept["bindings"][0]["members"] == ["user:ann@example.org"]
    assert gcloud(*repository, "delete", "mnist", IN_REGION).returncode == 0
    assert "NOT_FOUND" in refused(gcloud(*repository, "describe", "mnist", IN_REGION))


@pytest.fixture
def context(world: World, gcloud: Gcloud, tmp_path: Path) -> tuple[str, ...]:
    """A build's options: a folder to build, a bucket for the source, a registry for the image."""
    world.enable()
    world.add_bucket(BUCKET, location="us-central1")
    gcloud("artifacts", "repositories", "create", "mnist", "--repository-format=docker", IN_REGION)
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\n")
    return (str(folder), f"--tag={IMAGE}:abc", "--region=us-central1", "--suppress-logs",
            f"--gcs-source-staging-dir=gs://{BUCKET}/build-source")  # fmt: skip


def test_cloud_build_pushes_what_it_built(gcloud: Gcloud, context: tuple[str, ...]) -> None:
    describe = ("artifacts", "docker", "images", "describe", f"{IMAGE}:abc", "--format=json")
    assert "Image not found." in refused(gcloud(*describe))
    built = told(gcloud("builds", "submit", *context, "--async", "--format=json"))
    done = told(gcloud("builds", "describe", built["id"], "--region=us-central1", "--format=json"))
    assert done["status"] == "SUCCESS"
    assert told(gcloud(*describe))["image_summary"]["digest"] == done["results"]["images"][0]["digest"]
    images = told(gcloud("artifacts", "docker", "images", "list", IMAGE.rpartition("/")[0], "--format=json"))
    assert [image["package"] for image in images] == [IMAGE]


def test_cloud_build_that_fails_says_so_and_pushes_nothing(
    world: World, gcloud: Gcloud, context: tuple[str, ...]
) -> None:
    world.fail_builds("npm is missing")
    assert 'completed with status "FAILURE"' in refused(gcloud("builds", "submit", *context))
    assert not [line for line in world.summary() if line.startswith("image")]


# -- accounts and policies -------------------------------------------------------------------------------------------


def test_service_account_is_made_found_and_deleted(world: World, gcloud: Gcloud) -> None:
    world.enable()
    accounts = ("iam", "service-accounts")
    assert "NOT_FOUND: Unknown service account" in refused(gcloud(*accounts, "describe", NODES))
    make = (*accounts, "create", "mnist-nodes", "--description=managed-by=us part-of=mnist environment=staging")
    assert gcloud(*make).returncode == 0
    assert "is the subject of a conflict" in refused(gcloud(*make))
    assert "part-of=mnist" in told(gcloud(*accounts, "describe", NODES, "--format=json"))["description"]
    assert gcloud(*accounts, "delete", NODES).returncode == 0
    assert world.state.of("iam.accounts") == {}


def test_key_holds_a_canary_and_can_be_deleted(world: World, gcloud: Gcloud, tmp_path: Path) -> None:
    world.enable()
    gcloud("iam", "service-accounts", "create", "mnist-nodes")
    keys, of = ("iam", "service-accounts", "keys"), f"--iam-account={NODES}"
    assert gcloud(*keys, "create", str(tmp_path / "key.json"), of).returncode == 0
    assert CANARY in json.loads((tmp_path / "key.json").read_text())["private_key"]
    (key,) = told(gcloud(*keys, "list", of, "--managed-by=user", "--format=json"))
    assert gcloud(*keys, "delete", key["name"].rpartition("/")[2], of).returncode == 0
    assert told(gcloud(*keys, "list", of, "--managed-by=user", "--format=json")) == []


def test_binding_is_added_and_taken_away(world: World, gcloud: Gcloud) -> None:
    world.enable()
    gcloud("iam", "service-accounts", "create", "mnist-nodes")
    binding = (PROJECT, f"--member=serviceAccount:{NODES}", "--role=roles/logging.logWriter", "--condition=None")
    assert gcloud("projects", "add-iam-policy-binding", *binding).returncode == 0
    assert NODES in gcloud("projects", "get-iam-policy", PROJECT, "--format=json").stdout
    assert gcloud("projects", "remove-iam-policy-binding", *binding).returncode == 0
    assert NODES not in gcloud("projects", "get-iam-policy", PROJECT, "--format=json").stdout


def test_binding_of_an_account_that_is_not_there_is_refused(gcloud: Gcloud) -> None:
    binding = (PROJECT, f"--member=serviceAccount:{NODES}", "--role=roles/viewer", "--condition=None")
    assert "does not exist" in refused(gcloud("projects", "add-iam-policy-binding", *binding))


def test_workload_identity_needs_a_first_cluster(world: World, gcloud: Gcloud) -> None:
    pool = f"projects/123456789012/locations/global/workloadIdentityPools/{PROJECT}.svc.id.goog"
    member = f"--member=principal://iam.googleapis.com/{pool}/subject/ns/kubeflow/sa/trainer"
    words = ("projects", "add-iam-policy-binding", PROJECT, member, "--role=roles/viewer", "--condition=None")
    assert "Identity Pool does not exist" in refused(gcloud(*words))


# -- addresses, what clusters leave, names ---------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["--global", "--region=us-central1"])
def test_address_is_reserved_found_and_given_back(world: World, gcloud: Gcloud, place: str) -> None:
    world.enable()
    addresses = ("compute", "addresses")
    assert "was not found" in refused(gcloud(*addresses, "describe", "mnist-ip", place))
    make = (*addresses, "create", "mnist-ip", place, "--description=environment=staging")
    assert gcloud(*make).returncode == 0
    assert "already exists" in refused(gcloud(*make))
    found = told(gcloud(*addresses, "describe", "mnist-ip", place, "--format=json"))
    assert (found["address"], found["description"]) == ("198.51.100.1", "environment=staging")
    assert gcloud(*addresses, "delete", "mnist-ip", place).returncode == 0
    assert told(gcloud(*addresses, "list", "--format=json")) == []


def test_deleted_cluster_leaves_its_load_balancers_and_disks(world: World, gcloud: Gcloud) -> None:
    world.enable()
    cluster = world.add_cluster("mnist")
    about = {"namespace": "default", "name": "web-ui"}
    cluster.add("services", {"metadata": about, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}})
    space = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
    cluster.add("persistentvolumeclaims", {"metadata": about, "spec": space})
    assert gcloud("container", "clusters", "delete", "mnist", AT).returncode == 0
    kinds = ("forwarding-rules", "target-pools", "firewall-rules", "disks", "backend-services")
    left = {kind: told(gcloud("compute", kind, "list", "--format=json")) for kind in kinds}
    assert {kind: len(found) for kind, found in left.items()} == {
        "forwarding-rules": 1, "target-pools": 1, "firewall-rules": 1, "disks": 1, "backend-services": 0,
    }  # fmt: skip
    (disk,) = left["disks"]
    assert gcloud("compute", "disks", "delete", disk["name"], "--zone=us-central1-c").returncode == 0
    (rule,) = left["forwarding-rules"]
    assert gcloud("compute", "forwarding-rules", "delete", rule["name"], "--region=us-central1").returncode == 0
    (pool,) = left["target-pools"]
    assert gcloud("compute", "target-pools", "delete", pool["name"], "--region=us-central1").returncode == 0
    (wall,) = left["firewall-rules"]
    assert gcloud("compute", "firewall-rules", "delete", wall["name"]).returncode == 0
    assert world.summary() == []


def test_dns_name_is_deployed_found_and_given_up(world: World, gcloud: Gcloud, tmp_path: Path) -> None:
    services, file = ("endpoints", "services"), tmp_path / "endpoint.json"
    assert "does not have permission to access services instance" in refused(gcloud(*services, "describe", DNS))
    file.write_text(json.dumps({
        "swagger": "2.0", "info": {"title": "environment=staging", "version": "1"}, "host": DNS, "paths": {},
        "x-google-endpoints": [{"name": DNS, "target": "198.51.100.1"}],
    }))  # fmt: skip
    assert gcloud(*services, "deploy", str(file), "--force").returncode == 0
    assert told(gcloud(*services, "describe", DNS, "--format=json"))["serviceName"] == DNS
    (config,) = told(gcloud("endpoints", "configs", "list", f"--service={DNS}", "--format=json"))
    assert config["title"] == "environment=staging"
    assert config["endpoints"] == [{"name": DNS, "target": "198.51.100.1"}]
    assert gcloud(*services, "delete", DNS).returncode == 0
    assert told(gcloud(*services, "list", "--format=json")) == []


def test_people_are_let_through_the_proxy(world: World, gcloud: Gcloud) -> None:
    world.enable()
    world.state.of("compute.backendServices")["global/backendServices/k8s1-web-ui"] = {"name": "k8s1-web-ui"}
    backend = ("--resource-type=backend-services", "--service=k8s1-web-ui")
    member = ("--member=user:ann@example.org", "--role=roles/iap.httpsResourceAccessor")
    assert gcloud("iap", "web", "add-iam-policy-binding", *backend, *member).returncode == 0
    kept = told(gcloud("iap", "web", "get-iam-policy", *backend, "--format=json"))
    assert kept["bindings"][0]["members"] == ["user:ann@example.org"]
    other = ("--resource-type=backend-services", "--service=k8s1-nobodys")
    assert "NOT_FOUND" in refused(gcloud("iap", "web", "get-iam-policy", *other))


# -- storage by the command line -------------------------------------------------------------------------------------


@pytest.mark.real_gcloud
def test_bucket_is_made_filled_read_and_deleted(world: World, gcloud: Gcloud, tmp_path: Path) -> None:
    buckets = ("storage", "buckets")
    assert "not found: 404" in refused(gcloud(*buckets, "describe", f"gs://{BUCKET}"))
    assert gcloud(*buckets, "create", f"gs://{BUCKET}", IN_REGION, "--uniform-bucket-level-access").returncode == 0
    (tmp_path / "a.txt").write_bytes(b"line\r\n")
    assert gcloud("storage", "cp", str(tmp_path / "a.txt"), f"gs://{BUCKET}/x/").returncode == 0
    assert world.objects(BUCKET) == {"x/a.txt": b"line\r\n"}
    assert gcloud("storage", "ls", f"gs://{BUCKET}/").stdout.split() == [f"gs://{BUCKET}/x/"]
    assert gcloud("storage", "cat", f"gs://{BUCKET}/x/a.txt").stdout == "line\n"
    assert gcloud("storage", "rm", "--recursive", f"gs://{BUCKET}").returncode == 0
    assert world.summary() == []


@pytest.mark.real_gcloud
def test_bucket_says_whose_it_is(world: World, gcloud: Gcloud) -> None:
    world.add_bucket("ours")
    world.add_bucket("theirs", ours=False)
    assert "and you already own it" in refused(gcloud("storage", "buckets", "create", "gs://ours", IN_REGION))
    words = "The requested bucket name is not available"
    assert words in refused(gcloud("storage", "buckets", "create", "gs://theirs", IN_REGION))
