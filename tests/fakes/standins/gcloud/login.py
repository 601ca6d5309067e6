"""gcloud auth, config and version: what needs no API."""

from __future__ import annotations

import json
import os

from fakes.standins import login
from fakes.standins.gcloud.cloud import Cloud, Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

VERSIONS = {"Google Cloud SDK": "528.0.0", "core": "2025.06.20", "gke-gcloud-auth-plugin": "0.5.10",
            "kubectl": "1.32.4"}  # fmt: skip


def version(cloud: Cloud, options: Options) -> dict[str, str]:
    return VERSIONS


def accounts(cloud: Cloud, options: Options) -> list[dict[str, str]]:
    """The account that is logged in; a token file is a login without one."""
    return [{"account": login.account(), "status": "ACTIVE"}] if login.account() else []


def token(cloud: Cloud, options: Options) -> str:
    return cloud.token


def config(cloud: Cloud, options: Options) -> dict[str, Any]:
    """The properties that came as variables, by section."""
    core = {
        "account": login.properties().get("core/account", ""),
        "disable_prompts": os.environ.get("CLOUDSDK_CORE_DISABLE_PROMPTS", ""),
        "project": cloud.named,
    }
    return {"core": {name: value for name, value in core.items() if value}}


def configure_docker(cloud: Cloud, options: Options, hosts: str) -> None:
    """Note gcloud as the helper that logs docker in to the hosts."""
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")  # noqa: PTH111
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    path = os.path.join(folder, "config.json")  # noqa: PTH118
    try:
        with open(path) as file:  # noqa: PTH123
            known = json.load(file)
    except FileNotFoundError:
        known = {}
    except ValueError as error:
        raise Failed(f"Could not parse Docker configuration file [{path}]: {error}") from None
    known.setdefault("credHelpers", {}).update(dict.fromkeys(hosts.split(","), "gcloud"))
    with open(path, "w") as file:  # noqa: PTH123
        json.dump(known, file, indent=2)


COMMANDS = {
    "version": (version, "", "", ""),
    "auth list": (accounts, "", "filter-account", ""),
    "auth print-access-token": (token, "[ACCOUNT]", "", ""),
    "auth configure-docker": (configure_docker, "REGISTRIES", "", ""),
    "config list": (config, "[SECTION/PROPERTY]", "", "all"),
}
