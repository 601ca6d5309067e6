"""Kubernetes Engine: clusters and their node pools; each cluster answers as a Kubernetes API of its own."""

from __future__ import annotations

from fakes.google import balancers
from fakes.google.base import PROJECT, Api, Json, exists, invalid, missing
from fakes.google.clusters import (
    VERSION,
    begin,
    check_account,
    check_quota,
    cluster,
    defaults,
    idle,
    key,
    live,
    pool_of,
    scope,
    shown,
    step,
)
from fakes.state import Request, State

api = Api("container", "container.googleapis.com", "Kubernetes Engine API")
handle = api.handle

PLACE = "/v1/projects/{project}/locations/{location}"
CLUSTER = f"{PLACE}/clusters/{{name}}"


# -- clusters ------------------------------------------------------------------------------------------------------


@api.on(f"POST {PLACE}/clusters")
def create(state: State, request: Request, project: str, location: str) -> Json:
    asked = request.json["cluster"]
    if key(location, asked["name"]) in state.of("container.clusters"):
        raise exists(f"Already exists: projects/{PROJECT}/{scope(location)}/clusters/{asked['name']}.")
    made = defaults(asked, location)
    check_account(state, made["nodePools"][0]["config"].get("serviceAccount", "default"))
    if not made.get("autopilot"):
        check_quota(state, location, made["nodePools"][0])
    state.of("container.clusters")[key(location, made["name"])] = made
    if made.get("workloadIdentityConfig"):
        state.of("identity pools")[f"{PROJECT}.svc.id.goog"] = True
    return begin(state, location, made["name"], "CREATE_CLUSTER")


@api.on(f"GET {CLUSTER}")
def described(state: State, request: Request, project: str, location: str, name: str) -> Json:
    return cluster(state, location, name, moves=True)


@api.on(f"GET {PLACE}/clusters")
def listed(state: State, request: Request, project: str, location: str) -> Json:
    every = list(state.of("container.clusters").values())
    return {"clusters": [one for one in every if location in ("-", one["location"])]}


@api.on(f"PUT {CLUSTER}")
def update(state: State, request: Request, project: str, location: str, name: str) -> Json:
    one = idle(state, location, name)
    wanted = request.json["update"]
    if set(wanted) - {"desiredNodePoolId", "desiredNodePoolAutoscaling"}:
        raise invalid(f"the fake changes only node pools' autoscaling, not {sorted(wanted)}")
    pool_of(one, wanted["desiredNodePoolId"])["autoscaling"] = wanted["desiredNodePoolAutoscaling"]
    return begin(state, location, name, "UPDATE_CLUSTER")


@api.on(f"DELETE {CLUSTER}")
def delete(state: State, request: Request, project: str, location: str, name: str) -> Json:
    """Delete a cluster; load balancers and disks that still belong to something in it stay behind, as with GKE."""
    idle(state, location, name)["status"] = "STOPPING"
    balancers.leave(state, location, name)
    closing = live(state).pop(key(location, name), None)
    if closing:
        closing.close()
    return begin(state, location, name, "DELETE_CLUSTER")


# -- node pools ----------------------------------------------------------------------------------------------------


@api.on(f"GET {CLUSTER}/nodePools")
def listed_pools(state: State, request: Request, project: str, location: str, name: str) -> Json:
    return {"nodePools": cluster(state, location, name)["nodePools"]}


@api.on(f"GET {CLUSTER}/nodePools/{{pool}}")
def described_pool(state: State, request: Request, project: str, location: str, name: str, pool: str) -> Json:
    return pool_of(cluster(state, location, name, moves=True), pool)


@api.on(f"POST {CLUSTER}/nodePools")
def create_pool(state: State, request: Request, project: str, location: str, name: str) -> Json:
    one = idle(state, location, name)
    pool = {"initialNodeCount": 0, **request.json["nodePool"]}
    if any(other["name"] == pool["name"] for other in one["nodePools"]):
        raise exists(f"Already exists: projects/{PROJECT}/{scope(location)}/clusters/{name}/nodePools/{pool['name']}.")
    check_account(state, pool["config"].get("serviceAccount", "default"))
    check_quota(state, location, pool)
    one["nodePools"].append({**pool, "status": "RUNNING", "version": VERSION})
    return begin(state, location, name, "CREATE_NODE_POOL")


@api.on(f"DELETE {CLUSTER}/nodePools/{{pool}}")
def delete_pool(state: State, request: Request, project: str, location: str, name: str, pool: str) -> Json:
    one = idle(state, location, name)
    one["nodePools"].remove(pool_of(one, pool))
    return begin(state, location, name, "DELETE_NODE_POOL")


@api.on(f"GET {PLACE}/serverConfig")
def server_config(state: State, request: Request, project: str, location: str) -> Json:
    channels = [{"channel": "REGULAR", "defaultVersion": VERSION, "validVersions": [VERSION]}]
    return {"defaultClusterVersion": VERSION, "validMasterVersions": [VERSION], "validNodeVersions": [VERSION],
            "channels": channels, "defaultImageType": "COS_CONTAINERD",
            "validImageTypes": ["COS_CONTAINERD"]}  # fmt: skip


# -- operations ----------------------------------------------------------------------------------------------------


@api.on(f"GET {PLACE}/operations/{{name}}")
def operation(state: State, request: Request, project: str, location: str, name: str) -> Json:
    kept = state.of("container.operations").get(name)
    if kept is None:
        raise missing(f"Not found: projects/{PROJECT}/{scope(location)}/operations/{name}.")
    step(state, kept)
    return shown(kept)


@api.on(f"GET {PLACE}/operations")
def operations(state: State, request: Request, project: str, location: str) -> Json:
    return {"operations": [shown(one) for one in state.of("container.operations").values()]}
