"""Identity-Aware Proxy: who may pass to a backend service."""

from __future__ import annotations

from fakes.google.base import Api, Json, Refused
from fakes.google.compute import everything
from fakes.google.policies import change_policy, policy
from fakes.state import Request, State

api = Api("iap", "iap.googleapis.com", "Cloud Identity-Aware Proxy API")
handle = api.handle


SERVICE = "compute/services/"


def check(state: State, resource: str) -> None:
    """Refuse to speak of a backend service that is not there."""
    if forgotten(state, f"iap {resource}"):
        raise Refused(404, "NOT_FOUND", "Requested entity was not found.")


def forgotten(state: State, where: str) -> bool:
    """Whether a policy was that of a backend service which is gone: it is gone with it."""
    kind, _, resource = where.partition(" ")
    if kind != "iap":
        return False
    name = resource.removeprefix(SERVICE)
    return not any(path.endswith(f"/{name}") for path in everything(state, "backendServices"))


@api.on("POST /v1/projects/{project}/iap_web/{resource=**}:getIamPolicy")
def get_policy(state: State, request: Request, project: str, resource: str) -> Json:
    check(state, resource)
    return policy(state, f"iap {resource}")


@api.on("POST /v1/projects/{project}/iap_web/{resource=**}:setIamPolicy")
def set_policy(state: State, request: Request, project: str, resource: str) -> Json:
    check(state, resource)
    return change_policy(state, f"iap {resource}", request.json["policy"])
