"""What the environment adds to pods: accounts, keys, machines, GPUs, digests, and the page's way to the internet."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pipeline import endpoint, manifests
from pipeline.config import load

TAG = "1763900000"
SPOT = {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
AUTOPILOT_SPOT = ("cluster.autopilot=true", "cluster.spot=true")
EXISTING = ("cluster.kind=existing", "cluster.context=kind-mine", "identity=key-secret")
GATEWAY = ("serving.canary.gateway=gateways/internal", "serving.address=10.1.2.3")
IAP = ("iap.enabled=true", "iap.members=[user:ann@example.org]")
PODS = ("preflight", "train", "serving", "web-ui", "tensorboard", "notebook")


def pod(component: str, *changes: str, environment: str = "staging") -> dict[str, Any]:
    made = manifests.render(load(environment, changes).settings, component, TAG)
    (template,) = [template for document in made for template in manifests.pod_templates(document)]
    return dict(template["spec"])


def env(component: str, *changes: str, environment: str = "staging") -> dict[str, str]:
    container = pod(component, *changes, environment=environment)["containers"][0]
    return {one["name"]: one["value"] for one in container.get("env", [])}


def service(*changes: str) -> dict[str, Any]:
    return manifests.render(load("staging", changes).settings, "web-ui", TAG)[1]


@pytest.mark.parametrize("component", PODS)
def test_only_what_writes_to_the_bucket_runs_as_the_trainer(component: str) -> None:
    account = "trainer" if component in ("preflight", "train") else "reader"
    assert pod(component)["serviceAccountName"] == account
    accounts = [one["metadata"]["name"] for one in manifests.render(load("staging").settings, "identity", TAG)]
    assert account in accounts


@pytest.mark.parametrize("component", PODS)
def test_no_pod_is_given_a_token_of_the_cluster(component: str) -> None:
    assert pod(component)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("component", manifests.LOCAL)
def test_on_this_machine_a_pod_has_no_account(component: str) -> None:
    documents = manifests.render(load("local").settings, component, TAG)
    assert "serviceAccountName" not in manifests.dump(documents)


@pytest.mark.parametrize("component", PODS)
def test_with_a_key_every_pod_finds_it(component: str) -> None:
    spec = pod(component, "identity=key-secret")
    place = env(component, "identity=key-secret")["GOOGLE_APPLICATION_CREDENTIALS"]
    assert place == "/var/secrets/user-gcp-sa.json"
    assert {"name": "key", "mountPath": "/var/secrets", "readOnly": True} in spec["containers"][0]["volumeMounts"]
    assert {"name": "key", "secret": {"secretName": "user-gcp-sa", "defaultMode": 0o440}} in spec["volumes"]


def test_with_workload_identity_no_pod_names_a_key() -> None:
    settings = load("staging").settings
    text = "".join(manifests.dump(manifests.render(settings, name, TAG)) for name in manifests.COMPONENTS)
    assert "user-gcp-sa" not in text
    assert "GOOGLE_APPLICATION_CREDENTIALS" not in text


@pytest.mark.parametrize("component", PODS)
def test_spot_on_autopilot_is_asked_for_by_the_pod(component: str) -> None:
    spec = pod(component, *AUTOPILOT_SPOT)
    assert spec["nodeSelector"]["cloud.google.com/gke-spot"] == "true"
    assert SPOT in spec["tolerations"]
    assert spec["terminationGracePeriodSeconds"] == 25


@pytest.mark.parametrize("changes", [("cluster.spot=true",), ("cluster.autopilot=true",)])
def test_spot_alone_and_autopilot_alone_ask_the_pod_for_nothing(changes: tuple[str, ...]) -> None:
    assert not {"nodeSelector", "tolerations"} & pod("serving", *changes).keys()


def test_gpus_are_limits_a_place_and_seen_by_tensorflow() -> None:
    spec = pod("train", "training.gpus=2")
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert spec["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    variables = env("train", "training.gpus=2")
    drivers = {"CUDA_VISIBLE_DEVICES": "0,1", "LD_LIBRARY_PATH": "/usr/local/nvidia/lib64"}
    assert variables == env("train") | drivers


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (("training.workers=2", "training.evaluator=true"), {"Chief", "Worker"}),
        (("training.workers=2", "training.parameter_servers=1", "training.evaluator=true"), {"Worker"}),
    ],
)
def test_gpus_go_to_the_members_that_learn(changes: tuple[str, ...], expected: set[str]) -> None:
    (job,) = manifests.render(load("staging", ("training.gpus=1", *changes)).settings, "train", TAG)
    replicas = job["spec"]["tfReplicaSpecs"]
    assert {kind for kind, one in replicas.items() if "nvidia" in str(one)} == expected


def test_on_an_existing_cluster_gpus_have_no_place_that_only_gke_knows() -> None:
    spec = pod("train", *EXISTING, "training.gpus=1")
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nodeSelector" not in spec


@pytest.mark.parametrize("component", [name for name in PODS if name != "train"])
def test_only_the_training_gets_gpus(component: str) -> None:
    assert "nvidia" not in str(pod(component, "training.gpus=2"))


def test_gpus_and_spot_on_autopilot_are_both_asked_for() -> None:
    spec = pod("train", *AUTOPILOT_SPOT, "training.gpus=1")
    assert spec["nodeSelector"].keys() == {"cloud.google.com/gke-spot", "cloud.google.com/gke-accelerator"}
    assert len(spec["tolerations"]) == 2


@pytest.mark.parametrize(
    ("component", "image"),
    [("preflight", "train"), ("train", "train"), ("tensorboard", "train"), ("web-ui", "web-ui")],
)
def test_a_known_digest_pins_the_image(component: str, image: str) -> None:
    settings, digest = load("staging").settings, f"sha256:{'a' * 64}"
    made = manifests.render(settings, component, TAG, {image: digest})
    template = manifests.pod_templates(made[0])[0]
    assert template["spec"]["containers"][0]["image"] == f"{settings.registry}/{image}@{digest}"


def test_the_digest_of_another_image_changes_nothing() -> None:
    settings = load("staging").settings
    assert manifests.render(settings, "train", TAG, {"web-ui": "sha256:1"}) == manifests.render(settings, "train", TAG)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ((), {"iap", "routes"}),
        (IAP, {"routes"}),
        (EXISTING, {"iap", "routes"}),
        (GATEWAY, {"iap", "stable", "router"}),
        (("serving.kind=kserve",), {"iap", "routes", "stable", "canary", "router"}),
    ],
)
def test_an_environment_on_a_cluster_has_every_component_but_what_it_did_not_ask_for(
    changes: tuple[str, ...], missing: set[str]
) -> None:
    assert set(manifests.COMPONENTS) - set(manifests.components(load("staging", changes).settings)) == missing


def test_the_page_is_reached_from_within_the_cluster_unless_told_otherwise() -> None:
    assert service()["spec"]["type"] == "ClusterIP"
    assert "annotations" not in service()["metadata"]
    assert "loadBalancerSourceRanges" not in service()["spec"]


def test_a_load_balancer_lets_in_whom_the_settings_name() -> None:
    spec = service("web_ui.service_type=LoadBalancer", "web_ui.source_ranges=[203.0.113.0/24, 198.51.100.7/32]")["spec"]
    assert spec["type"] == "LoadBalancer"
    assert spec["loadBalancerSourceRanges"] == ["203.0.113.0/24", "198.51.100.7/32"]


def test_behind_iap_the_service_names_the_login_that_guards_it() -> None:
    login, certificate, ingress = manifests.render(load("staging", IAP).settings, "iap", TAG)
    assert login["spec"]["iap"] == {"enabled": True}
    assert yaml.safe_load(service(*IAP)["metadata"]["annotations"]["cloud.google.com/backend-config"]) == {
        "default": login["metadata"]["name"]
    }
    notes = ingress["metadata"]["annotations"]
    assert notes["networking.gke.io/managed-certificates"] == certificate["metadata"]["name"]
    assert notes["kubernetes.io/ingress.allow-http"] == "false"


def test_behind_iap_certificate_ingress_and_endpoint_are_for_one_host_and_one_address() -> None:
    settings = load("staging", [*IAP, "gcp.project=my-project-1"]).settings
    _, certificate, ingress = manifests.render(settings, "iap", TAG)
    host = "mnist-staging.endpoints.my-project-1.cloud.goog"
    assert endpoint.host(settings) == host
    assert certificate["spec"]["domains"] == [host]
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == [host]
    notes = ingress["metadata"]["annotations"]
    assert notes["kubernetes.io/ingress.global-static-ip-name"] == endpoint.address_name(settings)


def test_the_endpoints_description_leads_the_host_to_the_address() -> None:
    settings = load("staging", [*IAP, "gcp.project=my-project-1"]).settings
    said = endpoint.description(settings, "the web UI", "203.0.113.7")
    assert (said["swagger"], said["host"]) == ("2.0", endpoint.host(settings))
    assert said["x-google-endpoints"] == [{"name": endpoint.host(settings), "target": "203.0.113.7"}]


def test_the_cluster_is_marked_with_the_environment_that_it_belongs_to() -> None:
    (marker,) = manifests.render(load("staging").settings, "marker", TAG)
    assert marker["data"] == {
        "environment": "staging", "name": "mnist-staging", "project": "your-project-id", "location": "us-central1-c"
    }  # fmt: skip


def test_a_notebook_listens_to_its_pod_only_and_is_asked_from_inside() -> None:
    container = pod("notebook")["containers"][0]
    assert "--ip=127.0.0.1" in container["args"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert "urlopen('http://127.0.0.1:8888/api')" in container[probe]["exec"]["command"][-1]


def test_a_preflight_tries_once_and_ends_itself() -> None:
    (job,) = manifests.render(load("staging").settings, "preflight", TAG)
    assert job["metadata"]["name"] == f"preflight-{TAG}"
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 600)
    assert pod("preflight")["restartPolicy"] == "Never"
    assert pod("preflight")["containers"][0]["args"] == [load("staging").settings.bucket]
