"""gcloud iam: service accounts, their keys and policies."""

from __future__ import annotations

import base64
import os

from fakes.standins.gcloud.cloud import Cloud, say, without_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

ANYWHERE = "/v1/projects/-/serviceAccounts"


def describe(cloud: Cloud, options: Options, email: str) -> Json:
    return cloud.ask("iam", "GET", f"{ANYWHERE}/{email}")


def listed(cloud: Cloud, options: Options) -> list[Json]:
    return list(cloud.ask("iam", "GET", f"/v1/projects/{cloud.project}/serviceAccounts").get("accounts", []))


def create(cloud: Cloud, options: Options, name: str) -> None:
    said = {"displayName": options.one("display-name"), "description": options.one("description")}
    body = {"accountId": name, "serviceAccount": {key: value for key, value in said.items() if value}}
    cloud.ask("iam", "POST", f"/v1/projects/{cloud.project}/serviceAccounts", body, style="conflict")
    say(f"Created service account [{name}].")


def delete(cloud: Cloud, options: Options, email: str) -> None:
    cloud.ask("iam", "DELETE", f"{ANYWHERE}/{email}")
    say(f"deleted service account [{email}]")


def get_policy(cloud: Cloud, options: Options, email: str) -> Json:
    path = f"/v1/projects/{cloud.project}/serviceAccounts/{email}:getIamPolicy"
    return without_nothing(cloud.ask("iam", "POST", path))


def bind(cloud: Cloud, options: Options, email: str) -> Json:
    return cloud.bind("iam", f"/v1/projects/{cloud.project}/serviceAccounts/{email}", "POST", options)


def unbind(cloud: Cloud, options: Options, email: str) -> Json:
    return cloud.bind("iam", f"/v1/projects/{cloud.project}/serviceAccounts/{email}", "POST", options, take=True)


def create_key(cloud: Cloud, options: Options, file: str) -> None:
    """Make a key and write it to a file that only its owner may read."""
    email = options.one("iam-account")
    body = {"privateKeyType": "TYPE_GOOGLE_CREDENTIALS_FILE"}
    key = cloud.ask("iam", "POST", f"{ANYWHERE}/{email}/keys", body)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as written:
        written.write(base64.b64decode(key["privateKeyData"]))
    say(f"created key [{key['name'].rpartition('/')[2]}] of type [json] as [{file}] for [{email}]")


def keys(cloud: Cloud, options: Options) -> list[Json]:
    kinds = {"user": "?keyTypes=USER_MANAGED", "system": "?keyTypes=SYSTEM_MANAGED"}
    path = f"{ANYWHERE}/{options.one('iam-account')}/keys{kinds.get(options.one('managed-by'), '')}"
    return list(cloud.ask("iam", "GET", path).get("keys", []))


def delete_key(cloud: Cloud, options: Options, key: str) -> None:
    email = options.one("iam-account")
    cloud.ask("iam", "DELETE", f"{ANYWHERE}/{email}/keys/{key}")
    say(f"deleted key [{key}] for service account [{email}]")


COMMANDS = {
    "iam service-accounts describe": (describe, "SERVICE_ACCOUNT", "", ""),
    "iam service-accounts list": (listed, "", "", ""),
    "iam service-accounts create": (create, "NAME", "display-name description", ""),
    "iam service-accounts delete": (delete, "SERVICE_ACCOUNT", "", ""),
    "iam service-accounts get-iam-policy": (get_policy, "SERVICE_ACCOUNT", "", ""),
    "iam service-accounts add-iam-policy-binding": (bind, "SERVICE_ACCOUNT", "member role condition", ""),
    "iam service-accounts remove-iam-policy-binding": (unbind, "SERVICE_ACCOUNT", "member role condition", "all"),
    "iam service-accounts keys create": (create_key, "OUTPUT-FILE", "iam-account key-file-type", ""),
    "iam service-accounts keys list": (keys, "", "iam-account managed-by", ""),
    "iam service-accounts keys delete": (delete_key, "KEY", "iam-account", ""),
}
