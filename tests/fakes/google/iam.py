"""IAM: service accounts, their keys and who may use them."""

from __future__ import annotations

import base64
import json

from fakes.google.base import NUMBER, PROJECT, Api, Json, count, digits, exists, found, missing
from fakes.google.policies import change_policy, forget_member, policy
from fakes.state import Request, State

api = Api("iam", "iam.googleapis.com", "Identity and Access Management (IAM) API")
handle = api.handle

CANARY = "CANARY-SECRET-"
"""Stands in every key that the fake makes: what a test looks for in logs, manifests and images."""


def account(state: State, email: str) -> Json:
    return found(state, "iam.accounts", email, "Unknown service account")


@api.on("POST /v1/projects/{project}/serviceAccounts")
def create(state: State, request: Request, project: str) -> Json:
    asked = request.json
    email = f"{asked['accountId']}@{PROJECT}.iam.gserviceaccount.com"
    if email in state.of("iam.accounts"):
        raise exists(
            f"Service account {asked['accountId']} already exists within project projects/{PROJECT}.",
        )
    number = digits(f"{email}{count(state, 'account')}")
    state.of("iam.accounts")[email] = made = {
        "name": f"projects/{PROJECT}/serviceAccounts/{email}",
        "projectId": PROJECT,
        "uniqueId": number,
        "email": email,
        "oauth2ClientId": number,
        "etag": "MDEwMjE5MjA=",
        **asked.get("serviceAccount", {}),
    }
    return made


@api.on("GET /v1/projects/{project}/serviceAccounts")
def listed(state: State, request: Request, project: str) -> Json:
    return {"accounts": list(state.of("iam.accounts").values())}


@api.on("GET /v1/projects/{project}/serviceAccounts/{email}")
def described(state: State, request: Request, project: str, email: str) -> Json:
    return account(state, email)


@api.on("DELETE /v1/projects/{project}/serviceAccounts/{email}")
def delete(state: State, request: Request, project: str, email: str) -> Json:
    uid = account(state, email)["uniqueId"]
    del state.of("iam.accounts")[email]
    state.of("iam.keys").pop(email, None)
    state.of("policies").pop(email, None)
    forget_member(state, email, uid)
    return {}


@api.on("POST /v1/projects/{project}/serviceAccounts/{email}:getIamPolicy")
def get_policy(state: State, request: Request, project: str, email: str) -> Json:
    account(state, email)
    return policy(state, email)


@api.on("GET /v1/projects/{project}/serviceAccounts/{email}:getIamPolicy")
def read_policy(state: State, request: Request, project: str, email: str) -> Json:
    return get_policy(state, request, project, email)


@api.on("POST /v1/projects/{project}/serviceAccounts/{email}:setIamPolicy")
def set_policy(state: State, request: Request, project: str, email: str) -> Json:
    account(state, email)
    return change_policy(state, email, request.json["policy"])


@api.on("POST /v1/projects/{project}/serviceAccounts/{email}/keys")
def create_key(state: State, request: Request, project: str, email: str) -> Json:
    uid = account(state, email)["uniqueId"]
    key_id = f"{count(state, 'key'):040x}"
    made = {
        "name": f"projects/{PROJECT}/serviceAccounts/{email}/keys/{key_id}",
        "keyAlgorithm": "KEY_ALG_RSA_2048",
        "keyOrigin": "GOOGLE_PROVIDED",
        "keyType": "USER_MANAGED",
        "validAfterTime": "2026-11-01T09:00:00Z",
        "validBeforeTime": "9999-12-31T23:59:59Z",
    }
    state.of("iam.keys").setdefault(email, {})[key_id] = made
    return {**made, "privateKeyData": base64.b64encode(key_file(email, uid, key_id).encode()).decode()}


def key_file(email: str, uid: str, key_id: str) -> str:
    """A key's file: the form is Google's, the key is none."""
    private = f"{CANARY}{key_id}"
    value = {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": key_id,
        "private_key": f"-----BEGIN PRIVATE KEY-----\n{private}\n-----END PRIVATE KEY-----\n",
        "client_email": email,
        "client_id": uid,
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return json.dumps(value, indent=2) + "\n"


@api.on("GET /v1/projects/{project}/serviceAccounts/{email}/keys")
def listed_keys(state: State, request: Request, project: str, email: str) -> Json:
    account(state, email)
    kinds = request.query.get("keyTypes", [])
    google = {
        "name": f"projects/{PROJECT}/serviceAccounts/{email}/keys/{NUMBER:0>40}",
        "keyType": "SYSTEM_MANAGED",
        "validAfterTime": "2026-11-01T09:00:00Z",
        "validBeforeTime": "2026-12-01T09:00:00Z",
    }
    keys = [google, *state.of("iam.keys").get(email, {}).values()]
    return {"keys": [key for key in keys if not kinds or key["keyType"] in kinds]}


@api.on("DELETE /v1/projects/{project}/serviceAccounts/{email}/keys/{key}")
def delete_key(state: State, request: Request, project: str, email: str, key: str) -> Json:
    if state.of("iam.keys").get(email, {}).pop(key, None) is None:
        raise missing(f"Service account key {key} does not exist.")
    return {}
