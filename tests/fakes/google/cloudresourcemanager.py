"""Resource Manager: the project and its IAM policy."""

from __future__ import annotations

from fakes.google.base import NUMBER, PROJECT, Api, Json
from fakes.google.policies import change_policy, policy
from fakes.state import Request, State

api = Api("cloudresourcemanager")
handle = api.handle


@api.on("GET /v1/projects/{project}")
def described(state: State, request: Request, project: str) -> Json:
    return {
        "projectNumber": NUMBER,
        "projectId": PROJECT,
        "lifecycleState": "ACTIVE",
        "name": "Demo",
        "createTime": "2026-11-01T09:00:00.000Z",
    }


@api.on("POST /v1/projects/{project}:getIamPolicy")
def get_policy(state: State, request: Request, project: str) -> Json:
    return policy(state, "project")


@api.on("POST /v1/projects/{project}:setIamPolicy")
def set_policy(state: State, request: Request, project: str) -> Json:
    return change_policy(state, "project", request.json["policy"])
