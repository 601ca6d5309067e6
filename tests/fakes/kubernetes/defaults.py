"""What the API server fills in when an object leaves it out."""

from __future__ import annotations

import base64
import copy
import ipaddress
import zlib
from typing import Any

from fakes.kubernetes.kinds import Kind

Object = dict[str, Any]

POD = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
       "schedulerName": "default-scheduler", "securityContext": {}}  # fmt: skip
CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "resources": {}}
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
DEPLOYMENT = {
    "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
}  # fmt: skip
STATEFUL_SET = {
    "replicas": 1, "revisionHistoryLimit": 10, "podManagementPolicy": "OrderedReady",
    "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
}  # fmt: skip
JOB = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}


def fill(kind: Kind, found: Object) -> None:
    """Fill in an object's defaults, in place."""
    filler = FILLERS.get(kind.resource)
    if filler:
        filler(found)


def absent(target: Object, values: Object) -> None:
    for name, value in values.items():
        target.setdefault(name, copy.deepcopy(value))


def pod(found: Object) -> None:
    pod_spec(found["spec"])


def pod_spec(spec: Object) -> None:
    absent(spec, POD)
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        absent(container, CONTAINER)
        latest = ":" not in container.get("image", "").rsplit("/", 1)[-1] or container["image"].endswith(":latest")
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
        for probe in (container[name] for name in ("startupProbe", "readinessProbe", "livenessProbe")
                      if name in container):  # fmt: skip
            absent(probe, PROBE)
            if "httpGet" in probe:
                absent(probe["httpGet"], {"path": "/", "scheme": "HTTP"})
            if "grpc" in probe:
                absent(probe["grpc"], {"service": ""})
    for volume in spec.get("volumes", []):
        for source in ("configMap", "secret", "projected"):
            if source in volume:
                volume[source].setdefault("defaultMode", 420)


def workload(found: Object) -> None:
    absent(found["spec"], DEPLOYMENT if found["kind"] == "Deployment" else STATEFUL_SET)
    pod_spec(found["spec"]["template"]["spec"])


def job(found: Object) -> None:
    absent(found["spec"], JOB)
    pod_spec(found["spec"]["template"]["spec"])


def namespace(found: Object) -> None:
    found["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = found["metadata"]["name"]
    found.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
    found.setdefault("status", {"phase": "Active"})


def secret(found: Object) -> None:
    found["type"] = found.get("type") or "Opaque"
    for name, text in found.pop("stringData", {}).items():
        found.setdefault("data", {})[name] = base64.b64encode(text.encode()).decode()


def service(found: Object) -> None:
    spec = found["spec"]
    absent(spec, {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
                  "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"})  # fmt: skip
    drawn = zlib.crc32("/".join([found["metadata"].get("namespace", ""), found["metadata"]["name"]]).encode())
    spec.setdefault("clusterIP", str(ipaddress.IPv4Address("10.64.0.0") + drawn % 65000))
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    outside = spec["type"] in ("LoadBalancer", "NodePort")
    if outside:
        absent(spec, {"externalTrafficPolicy": "Cluster"})
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
    for number, port in enumerate(spec.get("ports", [])):
        absent(port, {"protocol": "TCP", "targetPort": port["port"]})
        if outside:
            port.setdefault("nodePort", 30000 + (drawn + number) % 2768)
        else:
            port.pop("nodePort", None)
    found.setdefault("status", {"loadBalancer": {}})


FILLERS = {
    "pods": pod, "deployments.apps": workload, "statefulsets.apps": workload, "jobs.batch": job,
    "namespaces": namespace, "secrets": secret, "services": service,
}  # fmt: skip
