"""Checks of a manifest that a cluster would make: the schemas, and Pod Security "restricted"."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate

from pipeline import kserve

KUBERNETES = "1.34"
"""The release whose schemas count: what GKE's regular channel runs."""

OWN = {
    kind: json.loads((Path(__file__).parent / f"{name}.schema.json").read_text())
    for kind, name in {
        "TFJob": "tfjob-v1",
        "BackendConfig": "backendconfig-v1",
        "ManagedCertificate": "managedcertificate-v1",
        "Experiment": "experiment-v1beta1",
        "HTTPRoute": "httproute-v1",
        "GRPCRoute": "grpcroute-v1",
        "InferenceService": "inferenceservice-v1beta1",
        "PodMonitoring": "podmonitoring-v1",
    }.items()
}
"""Schemas of kinds that are not Kubernetes' own."""

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
QUANTITY = re.compile(r"[0-9]+(\.[0-9]{1,3})?(m|[kMGT]|[KMGT]i)?")
PROBES = {"startupProbe", "readinessProbe", "livenessProbe"}

VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def check_schema(document: dict[str, Any]) -> None:
    """AssertionError unless the document is valid; a kind without a schema is not."""
    where = f"{document['kind']} {document['metadata'].get('name')}"
    try:
        if document["kind"] in OWN:
            jsonschema.validate(document, OWN[document["kind"]])
            if document["kind"] == "Experiment":
                check_trials(document["spec"])
            if document["kind"] == "InferenceService":
                check_predictor(document["spec"]["predictor"])
                kubernetes_validate.validate(as_pod(kserve.pod_template(document)), KUBERNETES, strict=True)
            for replica in document["spec"].get("tfReplicaSpecs", {}).values():
                kubernetes_validate.validate(as_pod(replica["template"]), KUBERNETES, strict=True)
        else:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        raise AssertionError(f"no schema for {where}") from None
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        raise AssertionError(f"{where}: {error}") from None
    # Of this the schemas say nothing:
    assert NAME.fullmatch(document["metadata"]["name"]), f"{where}: name"
    for key, value in document["metadata"].get("labels", {}).items():
        assert LABEL.fullmatch(value), f"{where}: label {key}"


def check_trials(spec: dict[str, Any]) -> None:
    """AssertionError unless an Experiment's trials are valid jobs, and its placeholders those that are declared.

    What Katib's webhook looks at: pkg/webhook/v1beta1/experiment/validator/validator.go.
    """
    template, names = spec["trialTemplate"], {one["name"] for one in spec["parameters"]}
    given = template["trialParameters"]
    used = set(re.findall(r"\$\{trialParameters\.([^}]+)\}", json.dumps(template["trialSpec"])))
    assert used == {one["name"] for one in given}, f"placeholders {used}"
    assert {one["reference"] for one in given} == {*names, "${trialSpec.Name}"}, "references"
    assert spec["parallelTrialCount"] <= spec["maxTrialCount"] >= spec["maxFailedTrialCount"], "counts"
    assert "metadata" not in template["trialSpec"], "a trial is named by Katib"
    replicas = template["trialSpec"]["spec"]["tfReplicaSpecs"].values()
    containers = [one for replica in replicas for one in replica["template"]["spec"]["containers"]]
    assert template["primaryContainerName"] in {one["name"] for one in containers}, "primary container"
    check_schema({**template["trialSpec"], "metadata": {"name": "trial"}})


def check_predictor(predictor: dict[str, Any]) -> None:
    """AssertionError unless KServe's webhook lets a predictor through (validateReplicas in component.go)."""
    assert predictor["minReplicas"] <= predictor["maxReplicas"], "replicas"


def check_probes(template: dict[str, Any]) -> None:
    """AssertionError unless each container of a server's pods has all three probes."""
    for container in template["spec"]["containers"]:
        assert container.keys() >= PROBES, f"{container['name']} lacks {PROBES - container.keys()}"


def as_pod(template: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", **template.get("metadata", {})},
        "spec": template["spec"],
    }


def check_restricted(template: dict[str, Any]) -> None:
    """AssertionError unless the pod passes the profile "restricted".

    The rules: https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    pod = template["spec"]
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        assert not pod.get(name), name
    for volume in pod.get("volumes", []):
        assert set(volume) - {"name"} <= VOLUMES, f"volume {volume}"
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        own, whole = container.get("securityContext", {}), pod.get("securityContext", {})
        both = {**whole, **own}
        assert both.get("runAsNonRoot") is True, "runAsNonRoot"
        assert both.get("runAsUser") != 0, "runAsUser"
        assert both.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"), "seccompProfile"
        assert own.get("allowPrivilegeEscalation") is False, "allowPrivilegeEscalation"
        assert not own.get("privileged"), "privileged"
        assert own.get("capabilities", {}).get("drop") == ["ALL"], "capabilities"
        assert set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"}, "capabilities"
        assert own.get("procMount", "Default") == "Default", "procMount"
        assert all(not port.get("hostPort") for port in container.get("ports", [])), "hostPort"
        # Not of the profile, but of every container of ours:
        assert own.get("readOnlyRootFilesystem") is True, "readOnlyRootFilesystem"
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys() & container["resources"][
            "requests"
        ].keys(), "resources"
        for kind in ("limits", "requests"):
            quantities = container["resources"][kind].items()
            assert all(QUANTITY.fullmatch(str(value)) for _, value in quantities), f"{kind} {quantities}"
        assert not container["image"].endswith(":latest"), "latest"
        assert ":" in container["image"].rsplit("/", 1)[-1], "no tag"
