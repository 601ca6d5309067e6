"""Cloud Billing: whether the project has an account that pays."""

from __future__ import annotations

from fakes.google.base import PROJECT, Api, Json
from fakes.state import Request, State

api = Api("cloudbilling")
handle = api.handle


@api.on("GET /v1/projects/{project}/billingInfo")
def described(state: State, request: Request, project: str) -> Json:
    """Billing is on unless a test says `state.of("billing")["off"] = True`."""
    paid = not state.of("billing").get("off")
    account = "billingAccounts/000000-AAAAAA-111111" if paid else ""
    return {
        "name": f"projects/{PROJECT}/billingInfo",
        "projectId": PROJECT,
        "billingAccountName": account,
        "billingEnabled": paid,
    }
