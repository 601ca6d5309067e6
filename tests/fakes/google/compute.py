"""Compute Engine: zones, quotas, addresses, and what clusters make and may leave behind."""

from __future__ import annotations

import re

from fakes.google import balancers
from fakes.google.base import PROJECT, Api, Json, Refused, count, digits, invalid, now
from fakes.state import Request, State

api = Api("compute", "compute.googleapis.com", "Compute Engine API")
handle = api.handle

REGIONS = {"us-central1": "abcf", "us-east1": "bcd", "europe-west1": "bcd"}
SCOPES = "{scope}/{place}"
SINGULAR = {"forwardingRules": "forwardingRule", "addresses": "address", "disks": "disk", "firewalls": "firewall",
            "targetPools": "targetPool", "backendServices": "backendService"}  # fmt: skip
TRIAL = {"CPUS": 12.0, "DISKS_TOTAL_GB": 500.0, "SSD_TOTAL_GB": 250.0, "IN_USE_ADDRESSES": 4.0,
         "STATIC_ADDRESSES": 4.0, "NVIDIA_T4_GPUS": 0.0, "PREEMPTIBLE_CPUS": 0.0}  # fmt: skip
"""A trial project's quota in a region; a test changes it by `state.of("quotas")["CPUS"] = 4.0`."""


def link(path: str) -> str:
    return f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/{path}"


def not_found(path: str) -> Refused:
    return Refused(404, "", f"The resource 'projects/{PROJECT}/{path}' was not found", reason="notFound")


def limit(state: State, name: str) -> float:
    return float(state.of("quotas").get(name, TRIAL.get(name, 0.0)))


def cpus(machine_type: str) -> int:
    """How many CPUs a machine has: e2-standard-4 has 4."""
    match = re.search(r"-(\d+)$", machine_type)
    return int(match[1]) if match else 2


def zone_value(zone: str) -> Json:
    region = zone.rpartition("-")[0]
    return {"kind": "compute#zone", "id": digits(zone), "name": zone, "status": "UP", "description": zone,
            "region": link(f"regions/{region}"), "selfLink": link(f"zones/{zone}")}  # fmt: skip


@api.on("GET /v1/projects/{project}/zones")
def zones(state: State, request: Request, project: str) -> Json:
    names = [f"{region}-{letter}" for region, letters in REGIONS.items() for letter in letters]
    return {"kind": "compute#zoneList", "items": [zone_value(name) for name in names]}


@api.on("GET /v1/projects/{project}/zones/{zone}")
def zone(state: State, request: Request, project: str, zone: str) -> Json:
    region, _, letter = zone.rpartition("-")
    if letter not in tuple(REGIONS.get(region, "")):
        raise not_found(f"zones/{zone}")
    return zone_value(zone)


def region_value(state: State, region: str) -> Json:
    used = {"CPUS": used_cpus(state, region)}
    quotas = [{"metric": name, "limit": limit(state, name), "usage": used.get(name, 0.0)} for name in TRIAL]
    zones = [link(f"zones/{region}-{letter}") for letter in REGIONS[region]]
    return {"kind": "compute#region", "id": digits(region), "name": region, "status": "UP", "quotas": quotas,
            "zones": zones, "selfLink": link(f"regions/{region}")}  # fmt: skip


@api.on("GET /v1/projects/{project}/regions")
def regions(state: State, request: Request, project: str) -> Json:
    return {"kind": "compute#regionList", "items": [region_value(state, name) for name in REGIONS]}


@api.on("GET /v1/projects/{project}/regions/{region}")
def region(state: State, request: Request, project: str, region: str) -> Json:
    if region not in REGIONS:
        raise not_found(f"regions/{region}")
    return region_value(state, region)


def used_cpus(state: State, region: str) -> float:
    clusters = [one for one in state.of("container.clusters").values() if one["location"].startswith(region)]
    pools = [pool for cluster in clusters if not cluster.get("autopilot") for pool in cluster["nodePools"]]
    return float(sum(pool["initialNodeCount"] * cpus(pool["config"]["machineType"]) for pool in pools))


@api.on("GET /v1/projects/{project}/zones/{zone}/machineTypes/{name}")
def machine_type(state: State, request: Request, project: str, zone: str, name: str) -> Json:
    if not re.fullmatch(r"(e2|n1|n2|c3|g2|a2)-\w+(-\d+)?", name):
        raise not_found(f"zones/{zone}/machineTypes/{name}")
    return {"kind": "compute#machineType", "name": name, "guestCpus": cpus(name), "memoryMb": cpus(name) * 4096,
            "zone": zone, "selfLink": link(f"zones/{zone}/machineTypes/{name}")}  # fmt: skip


# -- addresses, rules, pools, disks ----------------------------------------------------------------------------------


def everything(state: State, kind: str) -> dict[str, Json]:
    """Path → object of one kind: what was made here and what the clusters made."""
    return {**state.of(f"compute.{kind}"), **balancers.made(state, kind)}


def operation(state: State, verb: str, path: str) -> Json:
    scope = path.rpartition("/")[0].rpartition("/")[0]
    name = f"operation-{count(state, 'compute operation'):012d}"
    made = {"kind": "compute#operation", "id": digits(name), "name": name, "operationType": verb, "status": "DONE",
            "progress": 100, "targetLink": link(path), "targetId": digits(path), "insertTime": now(),
            "selfLink": link(f"{scope}/operations/{name}"), "startTime": now(), "endTime": now()}  # fmt: skip
    place = scope.split("/")
    if len(place) == 2:
        made[place[0].removesuffix("s")] = link(scope)
    state.of("compute.operations")[name] = made
    return made


def listing(kind: str, objects: dict[str, Json], place: str) -> Json:
    items = [one for path, one in objects.items() if path.startswith(f"{place}/{kind}/")]
    return {"kind": f"compute#{SINGULAR[kind]}List", "items": items}


@api.on("GET /v1/projects/{project}/aggregated/{kind}")
def aggregated(state: State, request: Request, project: str, kind: str) -> Json:
    if kind not in SINGULAR:
        raise not_found(f"aggregated/{kind}")
    scopes: dict[str, Json] = {}
    for path, one in everything(state, kind).items():
        scopes.setdefault(path.rpartition(f"/{kind}/")[0], {}).setdefault(kind, []).append(one)
    empty = {"warning": {"code": "NO_RESULTS_ON_PAGE", "message": "There are no results for scope on this page."}}
    return {"kind": f"compute#{SINGULAR[kind]}AggregatedList", "items": {"regions/us-east1": empty, **scopes}}


def at(scope: str, place: str = "") -> str:
    return f"{scope}/{place}" if place else scope


def listed(state: State, request: Request, project: str, kind: str, scope: str = "global", place: str = "") -> Json:
    return listing(kind, everything(state, kind), at(scope, place))


def described(
    state: State, request: Request, project: str, kind: str, name: str, scope: str = "global", place: str = ""
) -> Json:
    path = f"{at(scope, place)}/{kind}/{name}"
    objects = everything(state, kind)
    if path not in objects:
        raise not_found(path)
    return objects[path]


def insert(state: State, request: Request, project: str, kind: str, scope: str = "global", place: str = "") -> Json:
    asked = request.json
    path = f"{at(scope, place)}/{kind}/{asked['name']}"
    if path in everything(state, kind):
        raise Refused(409, "", f"The resource 'projects/{PROJECT}/{path}' already exists", reason="alreadyExists")
    if kind not in ("addresses", "disks"):
        raise invalid(f"the fake makes no {kind}")
    made = {"kind": f"compute#{SINGULAR[kind]}", **asked, "id": digits(path), "selfLink": link(path),
            "creationTimestamp": now()}  # fmt: skip
    if scope != "global":
        made[scope.removesuffix("s")] = link(at(scope, place))
    if kind == "addresses":
        made |= {"address": f"198.51.100.{count(state, 'address')}", "status": "RESERVED", "addressType": "EXTERNAL"}
    state.of(f"compute.{kind}")[path] = made
    return operation(state, "insert", path)


def delete(
    state: State, request: Request, project: str, kind: str, name: str, scope: str = "global", place: str = ""
) -> Json:
    path = f"{at(scope, place)}/{kind}/{name}"
    objects = everything(state, kind)
    if path not in objects:
        raise not_found(path)
    if path not in state.of(f"compute.{kind}"):
        raise Refused(400, "", f"The resource 'projects/{PROJECT}/{path}' is already being used by a cluster",
                      reason="resourceInUseByAnotherResource")  # fmt: skip
    del state.of(f"compute.{kind}")[path]
    return operation(state, "delete", path)


def for_kind(kind: str) -> None:
    """Put the five calls of one kind into the table, global and in a region or zone."""
    for base in ("global", SCOPES):
        place = f"/v1/projects/{{project}}/{base}/{kind}"
        for line, function in ((f"GET {place}", listed), (f"POST {place}", insert),
                               (f"GET {place}/{{name}}", described), (f"DELETE {place}/{{name}}", delete)):  # fmt: skip
            api.on(line)(lambda *args, function=function, **names: function(*args, kind=kind, **names))


for _kind in SINGULAR:
    for_kind(_kind)


@api.on("GET /v1/projects/{project}/{scope=**}/operations/{name}")
def asked(state: State, request: Request, project: str, scope: str, name: str) -> Json:
    if name not in state.of("compute.operations"):
        raise not_found(f"{scope}/operations/{name}")
    return dict(state.of("compute.operations")[name])


@api.on("POST /v1/projects/{project}/{scope=**}/operations/{name}/wait")
def waited(state: State, request: Request, project: str, scope: str, name: str) -> Json:
    return asked(state, request, project, scope, name)
