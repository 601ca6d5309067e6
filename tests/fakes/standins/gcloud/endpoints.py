"""gcloud endpoints: a DNS name below endpoints.PROJECT.cloud.goog."""

from __future__ import annotations

import base64
import json

from fakes.standins.gcloud.cloud import Cloud, Failed, Refused, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

API = "servicemanagement"


def describe(cloud: Cloud, options: Options, name: str) -> Json:
    return cloud.ask(API, "GET", f"/v1/services/{name}", style="instance")


def listed(cloud: Cloud, options: Options) -> list[Json]:
    return list(cloud.ask(API, "GET", f"/v1/services?producerProjectId={cloud.project}").get("services", []))


def configs(cloud: Cloud, options: Options) -> list[Json]:
    found = cloud.ask(API, "GET", f"/v1/services/{options.one('service')}/configs", style="instance")
    return list(found.get("serviceConfigs", []))


def deploy(cloud: Cloud, options: Options, *files: str) -> None:
    """Make the service if it is not there, hand in its description, roll that out and enable the service."""
    file, text = files[0], content(files[0])
    name = json.loads(text)["host"]
    ensure(cloud, name)
    source = {"path": file.rpartition("/")[2], "fileType": "OPEN_API_JSON",
              "fileContents": base64.b64encode(text.encode()).decode()}  # fmt: skip
    answer = finished(cloud, "POST", f"/v1/services/{name}/configs:submit",
                      {"configSource": {"files": [source]}, "validateOnly": False})  # fmt: skip
    number = answer["response"]["serviceConfig"]["id"]
    rollout = {"serviceName": name, "trafficPercentStrategy": {"percentages": {number: 100.0}}}
    finished(cloud, "POST", f"/v1/services/{name}/rollouts", rollout)
    operation = cloud.ask("serviceusage", "POST", f"/v1/projects/{cloud.project}/services/{name}:enable", {})
    cloud.finish("serviceusage", operation, f"/v1/{operation['name']}")
    say(f"Service Configuration [{number}] uploaded for service [{name}]")


def content(file: str) -> str:
    try:
        with open(file) as opened:  # noqa: PTH123 - pathlib costs a tenth of the start
            text = opened.read()
        json.loads(text)
    except OSError as error:
        raise Failed(f"Unable to read file [{file}]: {error}") from None
    except ValueError as error:
        raise Failed(f"the stand-in wants {file} as JSON: {error}") from None
    return text


def ensure(cloud: Cloud, name: str) -> None:
    """A service that is not there is one that may not be seen: 403, not 404."""
    try:
        cloud.ask(API, "GET", f"/v1/services/{name}", style="instance")
    except Refused as refused:
        if refused.status not in (403, 404):
            raise
        finished(cloud, "POST", "/v1/services", {"serviceName": name, "producerProjectId": cloud.project})


def finished(cloud: Cloud, method: str, path: str, body: Json | None = None) -> Json:
    operation = cloud.ask(API, method, path, body, style="instance")
    return cloud.finish(API, operation, f"/v1/{operation['name']}")


def delete(cloud: Cloud, options: Options, name: str) -> None:
    finished(cloud, "DELETE", f"/v1/services/{name}")


COMMANDS = {
    "endpoints services describe": (describe, "SERVICE", "", ""),
    "endpoints services list": (listed, "", "", ""),
    "endpoints services deploy": (deploy, "SERVICE_CONFIG_FILE...", "", "force async validate-only"),
    "endpoints services delete": (delete, "SERVICE", "", "async"),
    "endpoints configs list": (configs, "", "service", ""),
}
