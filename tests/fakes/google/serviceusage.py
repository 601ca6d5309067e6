"""Service Usage: which APIs the project has enabled."""

from __future__ import annotations

from fakes.google.base import NUMBER, Api, Json, Refused
from fakes.google.operations import ask, start
from fakes.state import Request, State

api = Api("serviceusage")
handle = api.handle

AT_FIRST = (
    "bigquery.googleapis.com", "cloudapis.googleapis.com", "logging.googleapis.com", "monitoring.googleapis.com",
    "servicemanagement.googleapis.com", "serviceusage.googleapis.com", "storage-api.googleapis.com",
    "storage-component.googleapis.com",
)  # fmt: skip
"""Enabled in a new project."""


COST_MONEY = ("artifactregistry", "cloudbuild", "compute", "container")
"""APIs that Google turns on only where somebody pays."""
NOBODY_PAYS = (
    "Billing account for project '{0}' is not found. Billing must be enabled for activation of service(s) '{1}' to "
    "proceed.\nHelp Token: fake"
)


def turn_on(state: State, names: list[str]) -> None:
    costly = [name for name in names if name.split(".")[0] in COST_MONEY]
    if costly and state.of("billing").get("off"):
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "UREQ_PROJECT_BILLING_NOT_FOUND",
                  "domain": "serviceusage.googleapis.com"}  # fmt: skip
        raise Refused(400, "FAILED_PRECONDITION", NOBODY_PAYS.format(NUMBER, ",".join(costly)), (detail,))
    state.of("services").update(dict.fromkeys(names, True))


def service(name: str, enabled: bool) -> Json:
    return {
        "name": f"projects/{NUMBER}/services/{name}",
        "config": {"name": name, "title": name},
        "state": "ENABLED" if enabled else "DISABLED",
        "parent": f"projects/{NUMBER}",
    }


@api.on("GET /v1/projects/{project}/services")
def listed(state: State, request: Request, project: str) -> Json:
    return {"services": [service(name, True) for name in sorted(state.of("services"))]}


@api.on("GET /v1/projects/{project}/services/{name}")
def described(state: State, request: Request, project: str, name: str) -> Json:
    return service(name, name in state.of("services"))


@api.on("POST /v1/projects/{project}/services/{name}:enable")
def enable(state: State, request: Request, project: str, name: str) -> Json:
    turn_on(state, [name])
    return start(state, f"operations/acat.p2-{NUMBER}-{name}", response={"service": service(name, True)})


@api.on("POST /v1/projects/{project}/services:batchEnable")
def enable_all(state: State, request: Request, project: str) -> Json:
    names = request.json["serviceIds"]
    turn_on(state, names)
    made = [service(name, True) for name in names]
    return start(state, f"operations/acat.p2-{NUMBER}-{len(names)}", response={"services": made})


@api.on("GET /v1/operations/{name}")
def operation(state: State, request: Request, name: str) -> Json:
    return ask(state, f"operations/{name}")
