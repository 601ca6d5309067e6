"""Kubernetes Engine: clusters and their node pools; each cluster answers as a Kubernetes API of its own."""

from __future__ import annotations

import base64
from typing import Any

from fakes.google import balancers, compute
from fakes.google.base import NUMBER, PROJECT, Api, Json, Refused, count, digits, exists, invalid, missing, now, polls
from fakes.state import Request, State

api = Api("container", "container.googleapis.com", "Kubernetes Engine API")
handle = api.handle

VERSION = "1.32.4-gke.1415000"
PLACE = "/v1/projects/{project}/locations/{location}"
CLUSTER = f"{PLACE}/clusters/{{name}}"
WORKING = ("PROVISIONING", "STOPPING", "RECONCILING")


def key(location: str, name: str) -> str:
    return f"{location}/{name}"


def live(state: State) -> dict[str, Any]:
    """Location and name → the fake Kubernetes API of every cluster that runs."""
    return state.of("live clusters")


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


def scope(location: str) -> str:
    return f"zones/{location}" if location.count("-") == 2 else f"locations/{location}"


def defaults(asked: Json, location: str) -> Json:
    """A cluster as the API keeps it."""
    name = asked["name"]
    config = {"machineType": "e2-medium", "diskSizeGb": 100, "serviceAccount": "default", **asked.get("nodeConfig", {})}
    pool = {"name": "default-pool", "initialNodeCount": asked.get("initialNodeCount", 3), "config": config}
    pools = [{**pool, **one} for one in asked.get("nodePools", [])] or [pool]
    auto = bool(asked.get("autopilot", {}).get("enabled"))
    made = {name: value for name, value in asked.items() if name not in ("nodeConfig", "initialNodeCount")}
    for one in pools:
        one |= {"status": "PROVISIONING", "version": VERSION}
    return {
        "network": "default",
        "resourceLabels": {},
        **made,
        "nodePools": pools,
        "nodeConfig": pools[0]["config"],
        "initialNodeCount": pools[0]["initialNodeCount"],
        "currentNodeCount": 0 if auto else pools[0]["initialNodeCount"],
        "status": "PROVISIONING",
        "location": location,
        "zone": location,
        "locations": [location],
        "currentMasterVersion": VERSION,
        "currentNodeVersion": VERSION,
        "id": digits(name + location, 32),
        "createTime": now(),
        "selfLink": f"https://container.googleapis.com/v1/projects/{PROJECT}/{scope(location)}/clusters/{name}",
    }


def check_account(state: State, account: str) -> None:
    if account != "default" and account not in state.of("iam.accounts"):
        raise invalid(f'Service account "{account}" does not exist.')


def check_quota(state: State, location: str, pool: Json) -> None:
    """Refuse more CPUs than the region's quota has left: a 403, as a missing permission is."""
    region = location.rpartition("-")[0] if location.count("-") == 2 else location
    wanted = float(pool["initialNodeCount"] * compute.cpus(pool["config"]["machineType"]))
    limit, used = compute.limit(state, "CPUS"), compute.used_cpus(state, region)
    if used + wanted > limit:
        raise Refused(403, "PERMISSION_DENIED", (
            f"Insufficient regional quota to satisfy request: resource \"CPUS\": request requires '{wanted}' and is "
            f"short '{used + wanted - limit}'. project has a quota of '{limit}' with '{limit - used}' available. View "
            f"and manage quotas at https://console.cloud.google.com/iam-admin/quotas?usage=USED&project={PROJECT}."
        ))  # fmt: skip


def cluster(state: State, location: str, name: str, moves: bool = False) -> Json:
    """A cluster; looking at it lets its operations go on, for the real ones need nobody to ask."""
    if moves:
        for operation in list(state.of("container.operations").values()):
            if operation["cluster"] == key(location, name):
                step(state, operation)
    try:
        return state.of("container.clusters")[key(location, name)]
    except KeyError:
        raise missing(f"Not found: projects/{PROJECT}/{scope(location)}/clusters/{name}.") from None


def idle(state: State, location: str, name: str) -> Json:
    """A cluster that nothing is going on with; 400 else."""
    one = cluster(state, location, name)
    if one["status"] in WORKING:
        kind = "CREATE_CLUSTER" if one["status"] == "PROVISIONING" else "another operation"
        raise Refused(400, "FAILED_PRECONDITION",
                      f"Cluster is running incompatible operation operation-1 ({kind}).")  # fmt: skip
    return one


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


def pool_of(one: Json, name: str) -> Json:
    for pool in one["nodePools"]:
        if pool["name"] == name:
            return pool
    place = f"projects/{PROJECT}/{scope(one['location'])}/clusters/{one['name']}/nodePools/{name}"
    raise missing(f"Not found: {place}.")


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


def begin(state: State, location: str, name: str, kind: str) -> Json:
    number = count(state, "container operation")
    operation = {"name": f"operation-{number:013d}", "kind": kind, "left": polls(state), "cluster": key(location, name),
                 "location": location, "error": state.of("failing").pop(kind, "")}  # fmt: skip
    state.of("container.operations")[operation["name"]] = operation
    if not operation["left"]:
        finish(state, operation)
    return shown(operation)


def shown(operation: Json) -> Json:
    location, name = operation["cluster"].split("/")
    place = f"https://container.googleapis.com/v1/projects/{NUMBER}/{scope(location)}"
    value = {"name": operation["name"], "operationType": operation["kind"], "zone": location, "location": location,
             "status": "RUNNING" if operation["left"] else "DONE", "startTime": now(),
             "selfLink": f"{place}/operations/{operation['name']}",
             "targetLink": f"{place}/clusters/{name}"}  # fmt: skip
    if not operation["left"] and operation["error"]:
        value |= {"statusMessage": operation["error"], "error": {"code": 8, "message": operation["error"]}}
    return value


def step(state: State, operation: Json) -> None:
    if operation["left"]:
        operation["left"] -= 1
        if not operation["left"]:
            finish(state, operation)


def finish(state: State, operation: Json) -> None:
    """Bring the cluster to where the operation leads."""
    if operation["kind"] == "DELETE_CLUSTER":
        state.of("container.clusters").pop(operation["cluster"], None)
    elif operation["kind"] == "CREATE_CLUSTER":
        made = state.of("container.clusters")[operation["cluster"]]
        if operation["error"]:
            made |= {"status": "ERROR", "statusMessage": operation["error"]}
        else:
            run(state, made)


def run(state: State, made: Json) -> None:
    """Let a cluster run: it gets an address, a certificate and a Kubernetes API behind them."""
    kubernetes = state.of("hooks")["cluster"](made)
    live(state)[key(made["location"], made["name"])] = kubernetes
    certificate = base64.b64encode(kubernetes.ca.encode()).decode()
    made |= {"status": "RUNNING", "endpoint": kubernetes.endpoint, "masterAuth": {"clusterCaCertificate": certificate}}
    for pool in made["nodePools"]:
        pool["status"] = "RUNNING"


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
