"""The model server as KServe's InferenceService: its predictor is the Deployment's own pod, so both serve alike."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from pipeline.settings import Settings

Manifest = dict[str, Any]

KIND = "inferenceservices.serving.kserve.io"

MODE = {"serving.kserve.io/deploymentMode": "RawDeployment"}
"""Without Knative, which gives a pod one port and not two. KServe 0.16 and newer say Standard and know this word."""

WITHIN = {"networking.kserve.io/visibility": "cluster-local"}
"""KServe makes no way in from outside the cluster."""

OF_A_POD = "kserve-container"
"""What KServe calls the container that it makes of `model`."""

HASH = "pipeline/predictor-hash"
"""Annotation of the pods: by it a Deployment of KServe's is known to be made from this predictor. How many there are is
not in it, so that one more restarts none."""


def inference_service(settings: Settings, deployment: Manifest) -> Manifest:
    """The InferenceService in the place of a rendered and labelled Deployment."""
    about = deployment["metadata"]
    metadata = {
        **about, "name": settings.serving.model_name, "labels": {**about["labels"], **WITHIN}, "annotations": MODE,
    }  # fmt: skip
    spec = {"predictor": predictor(settings, deployment["spec"])}
    return {
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": metadata, "spec": spec,
    }  # fmt: skip


def predictor(settings: Settings, deployment: Manifest) -> Manifest:
    """What KServe is to run, from a Deployment's spec: how many, and the pod.

    There is no storageUri: a version would be fixed when a pod starts, while TensorFlow Serving reads the bucket itself
    and goes from one version to the next in a running pod.
    """
    serving, template = settings.serving, copy.deepcopy(deployment["template"])
    (container,), about = template["spec"].pop("containers"), template["metadata"]
    about["labels"].pop("app")  # KServe's own
    pod = {
        "labels": about["labels"],
        "annotations": about["annotations"],
        **template["spec"],
        "model": model(container),
    }
    about["annotations"][HASH] = hashlib.sha256(json.dumps(pod, sort_keys=True).encode()).hexdigest()[:12]
    return {
        "minReplicas": serving.replicas, "maxReplicas": serving.most_replicas,
        "scaleMetric": "cpu", "scaleTarget": serving.cpu_percent, "deploymentStrategy": deployment["strategy"], **pod,
    }  # fmt: skip


def model(container: Manifest) -> Manifest:
    """The container as what it changes in KServe's runtime for TensorFlow, which has the same program.

    KServe leads its Service's port 80 to the first port, and speaks REST. Arguments come after the runtime's own, and
    of two the later counts.
    """
    ports = sorted(container["ports"], key=lambda port: port["name"] != "http")
    own = {key: value for key, value in container.items() if key != "name"}
    return {"modelFormat": {"name": "tensorflow"}, "protocolVersion": "v1", **own, "ports": ports}


def pod_template(service: Manifest) -> Manifest:
    """The pod that KServe makes, without what it adds: for those who look at pods."""
    predictor = service["spec"]["predictor"]
    container = {key: value for key, value in predictor["model"].items() if key not in OF_A_MODEL}
    spec = {key: value for key, value in predictor.items() if key not in OF_A_PREDICTOR}
    return {
        "metadata": {"labels": predictor["labels"], "annotations": predictor["annotations"]},
        "spec": {**spec, "containers": [{"name": OF_A_POD, **container}]},
    }


OF_A_MODEL = ("modelFormat", "protocolVersion")
OF_A_PREDICTOR = ("minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "deploymentStrategy", "labels",
                  "annotations", "model")  # fmt: skip
"""What is no part of the pod."""


def is_made_from(deployment: Manifest, service: Manifest) -> bool:
    """Whether KServe has brought its Deployment to what the InferenceService says."""
    wanted, there = service["spec"]["predictor"], deployment["spec"]
    enough = wanted["minReplicas"] <= there.get("replicas", 1) <= wanted["maxReplicas"]
    annotations = there.get("template", {}).get("metadata", {}).get("annotations") or {}
    return bool(enough and annotations.get(HASH) == wanted["annotations"][HASH])


def refusal(found: Manifest) -> str:
    """Why KServe makes nothing of an InferenceService, in its own words; empty where it does, or may still."""
    state = found.get("status", {}).get("modelStatus", {})
    if state.get("transitionStatus") != "InvalidSpec":
        return ""
    failure = state.get("lastFailureInfo", {})
    return f"{failure.get('reason', 'InvalidSpec')}: {failure.get('message', '')}".rstrip(": ")
