"""What there is while a canary is on: valid, restricted, apart from the usual server, and leading where it should."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pipeline import manifests, tracks
from pipeline.aliases import Canary
from pipeline.config import load
from pipeline.errors import PipelineError
from pipeline.served import only
from schemas import check_probes, check_restricted, check_schema  # type: ignore[import-not-found]

TRIAL = Canary(version="200", percent=7)
GATEWAY = ("serving.canary.gateway=gateways/internal", "serving.address=10.1.2.3")
WAYS = {
    "this machine": ("local", ()),
    "nginx": ("staging", ()),
    "Autopilot on Spot": ("staging", ("cluster.autopilot=true", "cluster.spot=true")),
    "a key": ("staging", ("identity=key-secret",)),
    "a Gateway": ("staging", GATEWAY),
}


def rendered(environment: str, component: str, *changes: str, trial: Canary | None = TRIAL) -> list[dict[str, Any]]:
    settings = load(environment, changes).settings
    return manifests.render(settings, component, "100", state=only("200"), trial=trial)


def one(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = (document for document in documents if document["kind"] == kind)
    return found


@pytest.mark.parametrize("way", WAYS)
def test_all_that_a_trial_needs_is_valid_and_restricted(way: str) -> None:
    environment, changes = WAYS[way]
    settings = load(environment, changes).settings
    for component in (*tracks.components(settings), *tracks.entrance(settings)):
        for document in rendered(environment, component, *changes):
            check_schema(document)
            for template in manifests.pod_templates(document):
                check_restricted(template)
                check_probes(template)


def test_the_canarys_server_is_the_usual_one_under_another_name_with_its_own_version() -> None:
    usual, its = (one(rendered("staging", name), "Deployment") for name in ("serving", "canary"))
    assert its["metadata"]["name"] == "mnist-serving-canary"
    assert its["spec"]["selector"]["matchLabels"] == {"app": "mnist-canary"}
    (first,), (second,) = (deployment["spec"]["template"]["spec"]["containers"] for deployment in (usual, its))
    assert first == second
    config = one(rendered("staging", "canary"), "ConfigMap")
    assert its["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]
    assert re.findall(r"versions: (\d+)", config["data"]["models.config"]) == ["200"]


def test_the_usual_servers_pods_are_not_selected_for_the_canary_nor_the_other_way_round() -> None:
    pods = [one(rendered("staging", name), "Deployment")["spec"]["template"]["metadata"]["labels"]["app"]
            for name in ("serving", "canary", "router")]  # fmt: skip
    assert pods == ["mnist", "mnist-canary", "mnist-router"]
    leads = [one(rendered("staging", name), "Service")["spec"]["selector"]["app"]
             for name in ("stable", "canary", "service")]  # fmt: skip
    assert leads == ["mnist", "mnist-canary", "mnist-router"]


def test_without_a_trial_nothing_is_in_the_path() -> None:
    assert one(rendered("staging", "service", trial=None), "Service")["spec"]["selector"] == {"app": "mnist"}
    assert "canary" not in str(rendered("staging", "routes", *GATEWAY, trial=None))


def test_on_this_machine_every_server_has_ports_of_its_own_and_the_router_the_usual_ones() -> None:
    sets = ("serving.canary.first_port=7000", "serving.grpc_port=6000", "serving.rest_port=6001")
    ports = {
        name: [port["containerPort"] for port in one(rendered("local", name, *sets), "Deployment")
               ["spec"]["template"]["spec"]["containers"][0]["ports"]]
        for name in ("stable", "canary", "router")
    }  # fmt: skip
    assert ports == {"stable": [7000, 7001], "canary": [7002, 7003], "router": [6000, 6001, 7004]}
    (container,) = one(rendered("local", "canary", *sets), "Deployment")["spec"]["template"]["spec"]["containers"]
    assert {"--port=7002", "--rest_api_port=7003"} <= {*container["args"]}


def test_another_share_restarts_nginx_and_not_the_router_that_looks_at_its_file() -> None:
    def noted(environment: str, percent: int) -> str:
        documents = rendered(environment, "router", trial=Canary(version="200", percent=percent))
        return str(one(documents, "Deployment")["spec"]["template"]["metadata"].get("annotations"))

    assert noted("staging", 7) != noted("staging", 8)
    assert noted("local", 7) == noted("local", 8)


def test_the_router_reaches_no_bucket() -> None:
    pod = one(rendered("staging", "router", "identity=key-secret"), "Deployment")["spec"]["template"]["spec"]
    assert "serviceAccountName" not in pod
    assert not [volume for volume in pod["volumes"] if "secret" in volume]


def test_a_gateways_routes_share_out_predictions_only_and_lead_the_rest_to_the_stable_server() -> None:
    documents = rendered("staging", "routes", *GATEWAY)
    for kind, port in (("HTTPRoute", 8500), ("GRPCRoute", 9000)):
        split, *_, rest = one(documents, kind)["spec"]["rules"]
        assert [(each["name"], each["port"], each["weight"]) for each in split["backendRefs"]] == [
            ("mnist-service", port, 93), ("mnist-canary", port, 7),
        ]  # fmt: skip
        assert [each["name"] for each in rest["backendRefs"]] == ["mnist-service"]
    assert {each["method"]["method"] for each in split["matches"]} == {
        "Classify", "MultiInference", "Predict", "Regress",
    }  # fmt: skip


@pytest.mark.parametrize(
    "break_it",
    [
        lambda spec: spec["parentRefs"][0].pop("name"),
        lambda spec: spec["rules"][0]["backendRefs"][0].update(weight=-1),
        lambda spec: spec["rules"][0]["backendRefs"][0].update(port="8500"),
        lambda spec: spec["rules"][0]["matches"][0].update(paths={}),
        lambda spec: spec.update(rules=[]),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_a_broken_route_is_not_valid(number: int, break_it: Any) -> None:
    document = rendered("staging", "routes", *GATEWAY)[number]
    break_it(document["spec"])
    with pytest.raises(AssertionError):
        check_schema(document)


@pytest.mark.parametrize(
    ("environment", "changes", "words"),
    [
        ("local", ("serving.canary.gateway=a/b",), "this machine has no Gateway"),
        ("staging", ("serving.canary.gateway=a/b",), "the web UI would go past it"),
        ("staging", ("serving.canary.gateway=b",), "names no Gateway; write namespace/name"),
        ("local", ("serving.canary.first_port=8999",), "9000 is serving.grpc_port already; choose others"),
    ],
)
def test_settings_that_do_not_fit_a_canary_are_refused(environment: str, changes: tuple[str, ...], words: str) -> None:
    with pytest.raises(PipelineError, match=re.escape(words)):
        load(environment, changes)
