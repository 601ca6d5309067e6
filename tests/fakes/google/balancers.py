"""What Kubernetes objects cost outside their cluster: load balancers for Services and Ingresses, disks for claims."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from fakes.google.base import PROJECT, Json
from fakes.state import State

Made = dict[str, dict[str, Json]]
"""Kind, such as forwardingRules → path → object."""


def link(path: str) -> str:
    return f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/{path}"


def made(state: State, kind: str) -> dict[str, Json]:
    """What the running clusters keep in Compute Engine, by path."""
    found: dict[str, Json] = {}
    for place, kubernetes in state.of("live clusters").items():
        found |= of_cluster(state, place, kubernetes).get(kind, {})
    return found


def leave(state: State, location: str, name: str) -> None:
    """Keep what a cluster that is being deleted leaves behind."""
    place = f"{location}/{name}"
    kubernetes = state.of("live clusters").get(place)
    for kind, objects in of_cluster(state, place, kubernetes).items() if kubernetes else ():
        state.of(f"compute.{kind}").update(objects)


def of_cluster(state: State, place: str, kubernetes: Any) -> Made:
    location, name = place.split("/")
    region = location.rpartition("-")[0] if location.count("-") == 2 else location
    zone = location if location.count("-") == 2 else f"{location}-b"
    all_of_them: Made = {}
    for service in kubernetes.of("services"):
        if service["spec"].get("type") == "LoadBalancer":
            merge(all_of_them, for_service(service, region))
    for ingress in kubernetes.of("ingresses.networking.k8s.io"):
        merge(all_of_them, for_ingress(ingress))
    for claim in kubernetes.of("persistentvolumeclaims"):
        merge(all_of_them, for_claim(claim, zone, name, location, state.of("container.clusters").get(place, {})))
    return all_of_them


def merge(into: Made, more: Made) -> None:
    for kind, objects in more.items():
        into.setdefault(kind, {}).update(objects)


def named(one: Json) -> str:
    return f"{one['metadata']['namespace']}/{one['metadata']['name']}"


def thing(path: str, **fields: Any) -> tuple[str, Json]:
    scope = path.split("/")
    place = {scope[0].removesuffix("s"): link("/".join(scope[:2]))} if scope[0] != "global" else {}
    number = str(int(hashlib.sha256(path.encode()).hexdigest(), 16))[:19]
    return path, {"id": number, "name": scope[-1], "selfLink": link(path), **place, **fields}


def for_service(service: Json, region: str) -> Made:
    """A network load balancer: a forwarding rule named after the Service, its firewall rule, and what it leads to.

    That is a target pool, or a backend service where the Service is annotated for one.
    """
    name = f"a{service['metadata']['uid'].replace('-', '')}"[:32]
    digest = hashlib.sha256(service["metadata"]["uid"].encode()).hexdigest()[:8]
    new = service["metadata"].get("annotations", {}).get("cloud.google.com/l4-rbs") == "enabled"
    kind = "backendServices" if new else "targetPools"
    behind = f"k8s2-5f1c7a2e-{named(service).replace('/', '-')}-{digest}" if new else name
    note = json.dumps({"kubernetes.io/service-name": named(service)})
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    leads = link(f"regions/{region}/{kind}/{behind}")
    rule = thing(f"regions/{region}/forwardingRules/{name}", description=note, IPAddress=ingress[0].get("ip", ""),
                 IPProtocol="TCP", loadBalancingScheme="EXTERNAL", portRange="80-80",
                 **{"backendService" if new else "target": leads})  # fmt: skip
    wall = thing(f"global/firewalls/{behind if new else f'k8s-fw-{name}'}", description=note, direction="INGRESS",
                 sourceRanges=service["spec"].get("loadBalancerSourceRanges", ["0.0.0.0/0"]))  # fmt: skip
    to = thing(f"regions/{region}/{kind}/{behind}", description=note)
    return {"forwardingRules": dict([rule]), kind: dict([to]), "firewalls": dict([wall])}


def for_ingress(ingress: Json) -> Made:
    """An HTTP load balancer: a global forwarding rule and a backend service."""
    digest = hashlib.sha256(ingress["metadata"]["uid"].encode()).hexdigest()[:8]
    name = f"{digest}-{ingress['metadata']['namespace']}-{ingress['metadata']['name']}"
    address = ingress.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    rule = thing(f"global/forwardingRules/k8s2-fr-{name}", IPAddress=address[0].get("ip", ""), IPProtocol="TCP",
                 loadBalancingScheme="EXTERNAL", portRange="80-80",
                 description=json.dumps({"kubernetes.io/ingress-name": named(ingress)}))  # fmt: skip
    notes = ingress["metadata"].get("annotations", {}).get("ingress.kubernetes.io/backends", "{}")
    backends = [thing(f"global/backendServices/{backend}", protocol="HTTP", description=json.dumps(
        {"kubernetes.io/ingress-name": named(ingress)})) for backend in json.loads(notes)]  # fmt: skip
    return {"forwardingRules": dict([rule]), "backendServices": dict(backends)}


def for_claim(claim: Json, zone: str, cluster: str, location: str, whole: Json) -> Made:
    """The disk behind a persistent volume claim, with the labels of its cluster."""
    labels = {
        **whole.get("resourceLabels", {}),
        "goog-gke-volume": "",
        "goog-k8s-cluster-name": cluster,
        "goog-k8s-cluster-location": location,
    }
    note = json.dumps({
        "kubernetes.io/created-for/pvc/name": claim["metadata"]["name"],
        "kubernetes.io/created-for/pvc/namespace": claim["metadata"]["namespace"],
        "storage.gke.io/created-by": "pd.csi.storage.gke.io",
    })  # fmt: skip
    name = f"pvc-{claim['metadata']['uid']}"
    disk = thing(f"zones/{zone}/disks/{name}", sizeGb="10", status="READY", labels=labels, description=note)
    return {"disks": dict([disk])}
