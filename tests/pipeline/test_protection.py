"""The model server on a cluster: how many there are, who may call it, how one takes another's place, and by KServe."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import kserve, manifests
from pipeline.cloud import cluster, gpu_pools
from pipeline.commands import Command
from pipeline.config import load
from schemas import check_probes, check_restricted, check_schema  # type: ignore[import-not-found]

TAG = "1763900000"
KSERVE = ("serving.kind=kserve",)
GROWING = ("serving.replicas=2", "serving.max_replicas=5", "serving.cpu_percent=50")
BOTH = pytest.mark.parametrize("kind", [(), KSERVE], ids=["Deployment", "InferenceService"])


def rendered(component: str, *changes: str) -> dict[str, dict[str, Any]]:
    """A component's objects by their kinds."""
    made = manifests.render(load("staging", changes).settings, component, TAG)
    return {one["kind"]: one for one in made}


def pods(component: str, *changes: str) -> list[dict[str, Any]]:
    made = rendered(component, *changes).values()
    return [template for one in made for template in manifests.pod_templates(one)]


def server(*changes: str) -> dict[str, Any]:
    """The server's pod template as Kubernetes sees it; KServe adds its own label."""
    (template,) = pods("serving", *changes)
    if KSERVE[0] in changes:
        template["metadata"]["labels"]["serving.kserve.io/inferenceservice"] = "mnist"
    return template


def takes_in(selector: dict[str, Any], template: dict[str, Any]) -> bool:
    labels = selector.get("matchLabels", selector)
    return bool(labels) and labels.items() <= template["metadata"]["labels"].items()


def test_a_fixed_number_of_servers_is_the_deployments_and_there_is_no_autoscaler() -> None:
    assert rendered("serving", "serving.replicas=2")["Deployment"]["spec"]["replicas"] == 2
    assert "HorizontalPodAutoscaler" not in rendered("protection", "serving.replicas=2")


def test_a_number_that_grows_is_the_autoscalers_alone() -> None:
    scaler = rendered("protection", *GROWING)["HorizontalPodAutoscaler"]["spec"]
    deployment = rendered("serving", *GROWING)["Deployment"]
    assert "replicas" not in deployment["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    assert scaler["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    assert scaler["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"], "kind": "Deployment", "name": deployment["metadata"]["name"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "limits"), [((), (1, 1)), (("serving.replicas=2",), (2, 2)), (GROWING, (2, 5))], ids=str
)
def test_kserve_is_told_the_same_numbers_and_gets_no_second_autoscaler(
    changes: tuple[str, ...], limits: tuple[int, int]
) -> None:
    predictor = rendered("serving", *KSERVE, *changes)["InferenceService"]["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == limits
    assert "HorizontalPodAutoscaler" not in rendered("protection", *KSERVE, *changes)


@BOTH
def test_the_service_the_budget_and_the_policy_are_about_the_servers_pods(kind: tuple[str, ...]) -> None:
    protection, template = rendered("protection", *kind), server(*kind)
    assert takes_in(rendered("service", *kind)["Service"]["spec"]["selector"], template)
    assert takes_in(protection["PodDisruptionBudget"]["spec"]["selector"], template)
    assert takes_in(protection["NetworkPolicy"]["spec"]["podSelector"], template)


@pytest.mark.parametrize("component", ["train", "web-ui", "tensorboard", "notebook", "preflight"])
def test_no_other_pod_is_taken_for_a_server(component: str) -> None:
    protection = rendered("protection")
    for template in pods(component):
        assert not takes_in(rendered("service")["Service"]["spec"]["selector"], template)
        assert not takes_in(protection["PodDisruptionBudget"]["spec"]["selector"], template)
        assert not takes_in(protection["NetworkPolicy"]["spec"]["podSelector"], template)


@pytest.mark.parametrize(
    ("component", "may"), [("web-ui", True), ("train", False), ("tensorboard", False), ("notebook", False)]
)
def test_of_our_pods_the_web_ui_alone_may_call_the_server(component: str, may: bool) -> None:
    (rule,) = rendered("protection")["NetworkPolicy"]["spec"]["ingress"]
    (caller,) = rule["from"]
    assert [takes_in(caller["podSelector"], template) for template in pods(component)] == [may]


def test_the_policy_opens_the_ports_that_the_server_listens_on() -> None:
    changes = ("serving.grpc_port=9123", "serving.rest_port=8123")
    (rule,) = rendered("protection", *changes)["NetworkPolicy"]["spec"]["ingress"]
    listening = [port["containerPort"] for port in server(*changes)["spec"]["containers"][0]["ports"]]
    assert [port["port"] for port in rule["ports"]] == listening == [9123, 8123]


def test_others_may_be_let_in_and_googles_collectors_to_the_metrics_alone() -> None:
    changes = ("serving.callers=[istio-system,35.191.0.0/16]", "serving.managed_prometheus=true")
    made = rendered("protection", *changes)
    callers, collectors = made["NetworkPolicy"]["spec"]["ingress"]
    assert callers["from"][1:] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}}},
        {"ipBlock": {"cidr": "35.191.0.0/16"}},
    ]
    assert [port["port"] for port in collectors["ports"]] == [8500]
    monitoring = made["PodMonitoring"]["spec"]
    assert takes_in(monitoring["selector"], server())
    assert (monitoring["endpoints"][0]["port"], "PodMonitoring" in rendered("protection")) == (8500, False)


@BOTH
def test_a_server_that_goes_has_time_for_every_connection_to_move_on(kind: tuple[str, ...]) -> None:
    """First its place in the Service, then a connection's age and a tenth, as gRPC varies it, then what is running."""
    pod = server(*kind)["spec"]
    (container,) = pod["containers"]
    arguments = dict(word.removeprefix("--").split("=", 1) for word in container["args"])
    age = dict(word.split("=") for word in arguments["grpc_channel_arguments"].split(","))
    seconds, spare = (int(age[f"grpc.max_connection_{name}_ms"]) / 1000 for name in ("age", "age_grace"))
    _, waits = container["lifecycle"]["preStop"]["exec"]["command"]
    assert 1.1 * seconds < int(waits)
    assert int(waits) + spare <= pod["terminationGracePeriodSeconds"]


@BOTH
def test_a_new_server_is_ready_before_an_old_one_goes(kind: tuple[str, ...]) -> None:
    made = rendered("serving", *kind)
    spec = made["Deployment"]["spec"] if not kind else made["InferenceService"]["spec"]["predictor"]
    strategy = spec["strategy" if not kind else "deploymentStrategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    check_probes(server(*kind))


@BOTH
def test_a_server_with_gpus_runs_their_image_where_they_are(kind: tuple[str, ...]) -> None:
    pod = server(*kind, "serving.gpus=2")["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 2
    assert pod["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
    assert container["image"] == "tensorflow/serving:2.20.0-gpu"
    assert "env" not in container
    assert server(*kind)["spec"]["containers"][0]["image"] == "tensorflow/serving:2.20.0"


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ((), {}),
        (("training.gpus=1",), {"gpu": (1, 1)}),
        (("serving.gpus=2",), {"serving-gpu": (2, 2)}),
        (("serving.gpus=1", *GROWING, "training.gpus=4"), {"gpu": (4, 1), "serving-gpu": (1, 6)}),
        (("serving.gpus=1", "cluster.autopilot=true"), {}),
    ],
    ids=str,
)
def test_each_kind_of_gpu_pod_has_a_pool_with_room_for_one_more_server(
    changes: tuple[str, ...], wanted: dict[str, tuple[int, int]]
) -> None:
    found = {}
    for pool in gpu_pools(load("staging", changes).settings):
        (change,) = pool.make
        assert isinstance(change, Command)
        flags = dict(word.removeprefix("--").split("=", 1) for word in change.argv if "=" in word)
        found[change.argv[4]] = (int(flags["accelerator"].split("count=")[1].split(",")[0]), int(flags["max-nodes"]))
    assert found == wanted


@pytest.mark.parametrize("on", [True, False])
def test_a_cluster_is_made_with_what_heeds_the_policy(on: bool) -> None:
    (change,) = cluster(load("staging", [f"cluster.dataplane_v2={str(on).lower()}"]).settings).make
    assert isinstance(change, Command)
    assert ("--enable-dataplane-v2" in change.argv) == on


def test_kserves_pod_is_the_deployments_own() -> None:
    changes = ("cluster.autopilot=true", "cluster.spot=true", "serving.gpus=1")
    theirs, ours = server(*KSERVE, *changes), server(*changes)
    (container,), (own,) = (template["spec"].pop("containers") for template in (theirs, ours))
    assert theirs["spec"] == ours["spec"]
    assert {**container, "ports": own["ports"], "name": own["name"]} == own
    assert theirs["metadata"]["annotations"].items() >= ours["metadata"]["annotations"].items()


def test_kserves_own_service_leads_to_rest_and_nothing_leads_in_from_outside() -> None:
    made = rendered("serving", *KSERVE)["InferenceService"]
    assert [port["name"] for port in made["spec"]["predictor"]["model"]["ports"]] == ["http", "grpc"]
    assert made["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"


@pytest.mark.parametrize(
    "change", ["serving.image=tensorflow/serving:2.19.0", "serving.cpu=2", "serving.poll_seconds=7"]
)
def test_what_changes_kserves_pods_changes_the_mark_that_is_waited_for(change: str) -> None:
    before, after = (rendered("serving", *KSERVE, *more)["InferenceService"] for more in ((), (change,)))
    made = {"spec": {"template": manifests.pod_templates(before)[0]}}
    assert kserve.is_made_from(made, before)
    assert not kserve.is_made_from(made, after)


def test_one_more_of_kserves_pods_is_waited_for_and_restarts_none() -> None:
    one, two = (rendered("serving", *KSERVE, f"serving.replicas={count}")["InferenceService"] for count in (1, 2))
    made = {"spec": {"replicas": 1, "template": manifests.pod_templates(one)[0]}}
    assert manifests.pod_templates(one) == manifests.pod_templates(two)
    assert (kserve.is_made_from(made, one), kserve.is_made_from(made, two)) == (True, False)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda spec: spec.update(replicas=1),
        lambda spec: spec.update(minReplicas=3),
        lambda spec: spec.update(scaleMetric="gpu"),
        lambda spec: spec.update(canaryTrafficPercent=101),
        lambda spec: spec["model"].update(storageUrl="gs://x"),
        lambda spec: spec["model"].update(modelFormat={"name": "tensorflow", "version": "3"}),
        lambda spec: spec["model"].update(protocolVersion="v2"),
        lambda spec: spec["model"].update(ports=[{"containerPort": "8500"}]),
        lambda spec: spec["model"]["readinessProbe"].update(httpPost={}),
        lambda spec: spec.update(terminationGracePeriodSeconds="20"),
    ],
)
def test_a_broken_inference_service_is_not_valid(break_it: Any) -> None:
    made = rendered("serving", *KSERVE)["InferenceService"]
    check_schema(made)
    break_it(made["spec"]["predictor"])
    with pytest.raises(AssertionError):
        check_schema(made)


def test_kserves_pods_are_restricted_or_found_out() -> None:
    made = rendered("serving", *KSERVE)["InferenceService"]
    check_restricted(kserve.pod_template(made))
    made["spec"]["predictor"]["model"]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(AssertionError, match="allowPrivilegeEscalation"):
        check_restricted(kserve.pod_template(made))


@pytest.mark.parametrize(
    ("number", "break_it"),
    [
        (0, lambda spec: spec.update(maxReplicas="3")),
        (1, lambda spec: spec.update(minAvailible=1)),
        (2, lambda spec: spec["ingress"][0].update(form=[])),
        (3, lambda spec: spec["endpoints"][0].update(path="metrics")),
        (3, lambda spec: spec.pop("selector")),
    ],
)
def test_a_broken_protection_is_not_valid(number: int, break_it: Any) -> None:
    document = list(rendered("protection", *GROWING, "serving.managed_prometheus=true").values())[number]
    check_schema(document)
    break_it(document["spec"])
    with pytest.raises(AssertionError):
        check_schema(document)
