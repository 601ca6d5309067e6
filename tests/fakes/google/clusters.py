"""Clusters as Kubernetes Engine keeps them: their defaults and limits, and the operations that change them."""

from __future__ import annotations

import base64
from typing import Any

from fakes.google import compute
from fakes.google.base import NUMBER, PROJECT, Json, Refused, count, digits, invalid, missing, now
from fakes.google.operations import polls
from fakes.state import State

VERSION = "1.32.4-gke.1415000"
WORKING = ("PROVISIONING", "STOPPING", "RECONCILING")


def key(location: str, name: str) -> str:
    return f"{location}/{name}"


def live(state: State) -> dict[str, Any]:
    """Location and name → the fake Kubernetes API of every cluster that runs."""
    return state.of("live clusters")


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


def pool_of(one: Json, name: str) -> Json:
    for pool in one["nodePools"]:
        if pool["name"] == name:
            return pool
    place = f"projects/{PROJECT}/{scope(one['location'])}/clusters/{one['name']}/nodePools/{name}"
    raise missing(f"Not found: {place}.")


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
