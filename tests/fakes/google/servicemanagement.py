"""Service Management: the DNS name under endpoints.PROJECT.cloud.goog that `gcloud endpoints` deploys."""

from __future__ import annotations

import base64
import time

import yaml

from fakes.google.base import PROJECT, Api, Json, count, denied, now
from fakes.google.operations import ask, start
from fakes.state import Request, State

api = Api("servicemanagement")
handle = api.handle


def service(state: State, name: str) -> Json:
    kept = state.of("servicemanagement.services").get(name)
    if kept is None:
        raise denied(f"Service '{name}' not found or permission denied.")
    return dict(kept["service"])


def operation(state: State, response: Json) -> Json:
    name = f"operations/services.{count(state, 'endpoint operation')}"
    return start(state, name, response=response, metadata={"startTime": now()})


@api.on("GET /v1/services")
def listed(state: State, request: Request) -> Json:
    return {"services": [one["service"] for one in state.of("servicemanagement.services").values()]}


@api.on("GET /v1/services/{name}")
def described(state: State, request: Request, name: str) -> Json:
    return service(state, name)


@api.on("POST /v1/services")
def create(state: State, request: Request) -> Json:
    made = {"serviceName": request.json["serviceName"], "producerProjectId": PROJECT}
    state.of("servicemanagement.services")[made["serviceName"]] = {"service": made, "configs": {}, "rollouts": []}
    return operation(state, made)


@api.on("DELETE /v1/services/{name}")
def delete(state: State, request: Request, name: str) -> Json:
    """Delete a service; the real one can be brought back for 30 days, and its name is taken as long."""
    gone = service(state, name)
    del state.of("servicemanagement.services")[name]
    state.of("services").pop(name, None)
    return operation(state, gone)


@api.on("POST /v1/services/{name}/configs:submit")
def submit(state: State, request: Request, name: str) -> Json:
    service(state, name)
    configs = state.of("servicemanagement.services")[name]["configs"]
    number = f"{time.strftime('%Y-%m-%d')}r{len(configs)}"
    files = request.json["configSource"]["files"]
    configs[number] = made = config(name, number, yaml.safe_load(base64.b64decode(files[0]["fileContents"])))
    kind = "type.googleapis.com/google.api.servicemanagement.v1.SubmitConfigSourceResponse"
    return operation(state, {"@type": kind, "serviceConfig": made})


def config(name: str, number: str, document: Json) -> Json:
    """What Google makes of an OpenAPI document."""
    about = document["info"]
    return {
        "name": name,
        "id": number,
        "title": about.get("title", ""),
        "producerProjectId": PROJECT,
        "documentation": {"summary": about.get("description", "")},
        "endpoints": document.get("x-google-endpoints", []),
    }


@api.on("GET /v1/services/{name}/configs")
def configs(state: State, request: Request, name: str) -> Json:
    service(state, name)
    every = state.of("servicemanagement.services")[name]["configs"].values()
    return {"serviceConfigs": list(every)[::-1]}  # the newest first


@api.on("POST /v1/services/{name}/rollouts")
def roll_out(state: State, request: Request, name: str) -> Json:
    service(state, name)
    rollout = {**request.json, "serviceName": name, "status": "SUCCESS", "createTime": now()}
    state.of("servicemanagement.services")[name]["rollouts"].append(rollout)
    return operation(state, {"@type": "type.googleapis.com/google.api.servicemanagement.v1.Rollout", **rollout})


@api.on("GET /v1/services/{name}/rollouts")
def rollouts(state: State, request: Request, name: str) -> Json:
    service(state, name)
    return {"rollouts": state.of("servicemanagement.services")[name]["rollouts"]}


@api.on("GET /v1/operations/{name}")
def asked(state: State, request: Request, name: str) -> Json:
    return ask(state, f"operations/{name}")


def target(state: State, name: str) -> str:
    """The address that the DNS name leads to by its newest configuration: for tests."""
    newest = list(state.of("servicemanagement.services")[name]["configs"].values())[-1]
    return str(newest["endpoints"][0]["target"])
