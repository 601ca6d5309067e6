"""Addresses that come after a while: of Services, Ingresses and certificates; and volumes that are there at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fakes.kubernetes.pods import condition

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]

QUOTA = (
    "Error syncing load balancer: failed to ensure load balancer: googleapi: Error 403: Quota 'IN_USE_ADDRESSES' "
    "exceeded. Limit: 4.0 in region us-central1., quotaExceeded"
)


def public_address(found: Object) -> str:
    """From the block of addresses that documentation may use."""
    return f"203.0.113.{zlib.crc32(found['metadata']['uid'].encode()) % 250 + 2}"


def service(cluster: Cluster, found: Object) -> Iterator[None]:
    """A LoadBalancer gets its address, or an event that says why it gets none."""
    if found["spec"]["type"] != "LoadBalancer":
        cluster.set_status("services", found, {"loadBalancer": {}})
        return
    if (found.get("status") or {}).get("loadBalancer"):
        return
    cluster.event(found, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer", "service-controller")
    for _ in range(cluster.address_delay):
        yield
    outcome = cluster.outcome(found["metadata"]["name"], addresses=True)
    if outcome:
        message = outcome.message or QUOTA
        cluster.event(found, "Warning", "SyncLoadBalancerFailed", message, "service-controller")
        return
    asked = found["spec"].get("loadBalancerIP")
    name = annotation(found, "networking.gke.io/load-balancer-ip-addresses")
    if name and annotation(found, "cloud.google.com/l4-rbs"):  # the older kind of load balancer knows no names
        asked = cluster.reserved_in_region(name)
        if asked is None:
            message = f"Error syncing load balancer: failed to ensure load balancer: address {name} not found"
            cluster.event(found, "Warning", "SyncLoadBalancerFailed", message, "service-controller")
            return
    given = [{"ip": asked or public_address(found), "ipMode": "VIP"}]
    cluster.set_status("services", found, {"loadBalancer": {"ingress": given}})
    cluster.event(found, "Normal", "EnsuredLoadBalancer", "Ensured load balancer", "service-controller")


def annotation(found: Object, name: str) -> str:
    return str(found["metadata"].get("annotations", {}).get(name, ""))


def ingress(cluster: Cluster, found: Object) -> Iterator[None]:
    """An address, and the annotation in which GKE names the backend services that it made."""
    for _ in range(cluster.address_delay):
        yield
    outcome = cluster.outcome(found["metadata"]["name"], addresses=True)
    if outcome:
        message = outcome.message or "Error syncing to GCP: error running load balancer syncing routine"
        cluster.event(found, "Warning", "Sync", message, "loadbalancer-controller")
        return
    reserved = annotation(found, "kubernetes.io/ingress.global-static-ip-name")
    ip = (cluster.reserved_address(reserved) if reserved else None) or public_address(found)
    cluster.annotate("ingresses.networking.k8s.io", found, {"ingress.kubernetes.io/backends": backends(found)})
    cluster.set_status("ingresses.networking.k8s.io", found, {"loadBalancer": {"ingress": [{"ip": ip}]}})
    cluster.event(found, "Normal", "Sync", "Scheduled for sync", "loadbalancer-controller")


def backends(found: Object) -> str:
    """`{"k8s1-…-NAMESPACE-SERVICE-PORT-…": "HEALTHY"}`, as text."""
    spec = found["spec"]
    named = [spec["defaultBackend"]["service"]] if "defaultBackend" in spec else []
    for rule in spec.get("rules", []):
        named += [path["backend"]["service"] for path in rule.get("http", {}).get("paths", [])]
    pairs = []
    for one in named:
        port = one["port"].get("number") or one["port"].get("name")
        pairs.append(f'"{backend_name(found["metadata"]["namespace"], one["name"], port)}":"HEALTHY"')
    return "{" + ",".join(dict.fromkeys(pairs)) + "}"


def backend_name(namespace: str, name: str, port: object) -> str:
    """The Compute Engine backend service that GKE makes for a Service's port."""
    digest = f"{zlib.crc32(f'{namespace}/{name}/{port}'.encode()):08x}"
    return f"k8s1-5f1c7a2e-{namespace}-{name}-{port}-{digest}"


def certificate(cluster: Cluster, found: Object) -> Iterator[None]:
    """A managed certificate is provisioned for a while, then active."""
    domains = found["spec"].get("domains", [])
    for status, steps in (("Provisioning", cluster.address_delay), ("Active", 0)):
        cluster.set_status("managedcertificates.networking.gke.io", found, {
            "certificateStatus": status, "certificateName": f"mcrt-{found['metadata']['uid']}",
            "domainStatus": [{"domain": domain, "status": status} for domain in domains],
        })  # fmt: skip
        for _ in range(steps):
            yield


def claim(cluster: Cluster, found: Object) -> Iterator[None]:
    """A volume claim is bound at once."""
    yield from ()
    asked = found["spec"].get("resources", {}).get("requests", {})
    status = {"phase": "Bound", "capacity": asked, "accessModes": found["spec"].get("accessModes", [])}
    cluster.set_status("persistentvolumeclaims", found, status)


def definition(cluster: Cluster, found: Object) -> Iterator[None]:
    """A CustomResourceDefinition is established at once."""
    yield from ()
    cluster.set_status("customresourcedefinitions.apiextensions.k8s.io", found, {
        "acceptedNames": found["spec"]["names"], "storedVersions": [found["spec"]["versions"][0]["name"]],
        "conditions": [condition("NamesAccepted", True, "NoConflicts", "no conflicts found"),
                       condition("Established", True, "InitialNamesAccepted", "the initial names have been accepted")],
    })  # fmt: skip
