"""Identity-Aware Proxy: who may pass to a backend service."""

from __future__ import annotations

from fakes.google.base import Api, Json
from fakes.google.policies import change_policy, policy
from fakes.state import Request, State

api = Api("iap", "iap.googleapis.com", "Cloud Identity-Aware Proxy API")
handle = api.handle


@api.on("POST /v1/projects/{project}/iap_web/{resource=**}:getIamPolicy")
def get_policy(state: State, request: Request, project: str, resource: str) -> Json:
    return policy(state, f"iap {resource}")


@api.on("POST /v1/projects/{project}/iap_web/{resource=**}:setIamPolicy")
def set_policy(state: State, request: Request, project: str, resource: str) -> Json:
    return change_policy(state, f"iap {resource}", request.json["policy"])
