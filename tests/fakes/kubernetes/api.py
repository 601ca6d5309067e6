"""The Kubernetes API's verbs on one cluster's objects; writing and watching have files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakes.kubernetes import logs, patches, removal, watching, writing
from fakes.kubernetes import refusals as refuse
from fakes.kubernetes.about import about_server
from fakes.kubernetes.refusals import Refused
from fakes.kubernetes.selectors import matches
from fakes.kubernetes.targets import Target, existing, targeted
from fakes.state import Reply, Request, Unknown

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]


def handle(cluster: Cluster, request: Request) -> Reply:
    """Answer one request to the cluster."""
    try:
        if cluster.expired:
            raise refuse.unauthorized()
        return about_server(cluster, request) or about_objects(cluster, request)
    except Refused as refused:
        return Reply.of(refused.status, refused.code)


def about_objects(cluster: Cluster, request: Request) -> Reply:
    target = targeted(cluster, request)
    if request.method == "GET":
        cluster.controllers.tick()
    if target.sub:
        return subresource(cluster, request, target)
    if not target.name:
        verbs = {"GET": listed, "POST": writing.create, "DELETE": delete_every}
    else:
        verbs = {"GET": get, "PUT": writing.replace, "PATCH": writing.patch, "DELETE": delete}
    if request.method not in verbs:
        raise Unknown(f"{request.method} on {request.path}")
    return verbs[request.method](cluster, request, target)


def subresource(cluster: Cluster, request: Request, target: Target) -> Reply:
    found = existing(cluster, target)
    if target.sub == "log" and request.method == "GET":
        return logs.log(cluster, found, request)
    if target.sub == "status" and request.method == "GET":
        return Reply.of(found)
    if target.sub == "status" and request.method in ("PUT", "PATCH"):
        status = writing.patched(cluster, request, target, found)[0].get("status")
        return Reply.of(writing.store(cluster, request, target.kind, {**found, "status": status}))
    if target.sub == "scale":
        return scale(cluster, request, target, found)
    raise Unknown(f"subresource {target.sub}")


def scale(cluster: Cluster, request: Request, target: Target, found: Object) -> Reply:
    size = {"replicas": found["spec"]["replicas"]}
    view = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": found["metadata"], "spec": size}
    view["status"] = size
    if request.method != "GET":
        wanted = patches.json_merge(view, request.json)["spec"]["replicas"]
        writing.store(cluster, request, target.kind, {**found, "spec": {**found["spec"], "replicas": wanted}})
        view["spec"] = {"replicas": wanted}
    return Reply.of(view)


def get(cluster: Cluster, request: Request, target: Target) -> Reply:
    return Reply.of(existing(cluster, target))


def listed(cluster: Cluster, request: Request, target: Target) -> Reply:
    if request.one("watch") in ("true", "1"):
        return Reply(200, watching.watched(cluster, request, target))
    labels, selected = request.one("labelSelector"), request.one("fieldSelector")
    every = cluster.store.every(target.kind, target.namespace)
    return Reply.of({
        "kind": f"{target.kind.kind}List", "apiVersion": target.kind.api_version,
        "metadata": {"resourceVersion": str(cluster.store.version)},
        "items": [found for found in every if matches(found, labels, selected)],
    })  # fmt: skip


def delete(cluster: Cluster, request: Request, target: Target) -> Reply:
    found, options = existing(cluster, target), request.json
    uid = (options.get("preconditions") or {}).get("uid")
    if uid and uid != found["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found['metadata']['uid']}"
        raise refuse.conflict(target.kind, target.name, why)
    if "dryRun" not in request.query and not options.get("dryRun"):
        orphan = "Orphan" in (options.get("propagationPolicy"), request.one("propagationPolicy"))
        if stays := removal.delete(cluster, target.kind, found, orphan):
            return Reply.of(stays)
    details = {
        "name": target.name,
        "group": target.kind.group,
        "kind": target.kind.plural,
        "uid": found["metadata"]["uid"],
    }
    return Reply.of({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})


def delete_every(cluster: Cluster, request: Request, target: Target) -> Reply:
    labels, selected = request.one("labelSelector"), request.one("fieldSelector")
    found = [one for one in cluster.store.every(target.kind, target.namespace) if matches(one, labels, selected)]
    for one in found if "dryRun" not in request.query else []:
        removal.delete(cluster, target.kind, one)
    return Reply.of(
        {"kind": f"{target.kind.kind}List", "apiVersion": target.kind.api_version, "metadata": {}, "items": found}
    )
