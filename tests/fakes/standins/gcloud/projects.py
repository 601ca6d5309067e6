"""gcloud projects, billing, services and iap: the project, what it may use, who may enter."""

from __future__ import annotations

from fakes.standins.gcloud.cloud import Cloud, Failed, say, without_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]


def describe(cloud: Cloud, options: Options, project: str) -> Json:
    return cloud.ask("cloudresourcemanager", "GET", f"/v1/projects/{project}")


def get_policy(cloud: Cloud, options: Options, project: str) -> Json:
    body = {"options": {"requestedPolicyVersion": 3}}
    return without_nothing(cloud.ask("cloudresourcemanager", "POST", f"/v1/projects/{project}:getIamPolicy", body))


def add(cloud: Cloud, options: Options, project: str) -> Json:
    policy = cloud.bind("cloudresourcemanager", f"/v1/projects/{project}", "POST", options)
    say(f"Updated IAM policy for project [{project}].")
    return policy


def remove(cloud: Cloud, options: Options, project: str) -> Json:
    policy = cloud.bind("cloudresourcemanager", f"/v1/projects/{project}", "POST", options, take=True)
    say(f"Updated IAM policy for project [{project}].")
    return policy


def billing(cloud: Cloud, options: Options, project: str) -> Json:
    return cloud.ask("cloudbilling", "GET", f"/v1/projects/{project}/billingInfo")


def services(cloud: Cloud, options: Options) -> list[Json]:
    path = f"/v1/projects/{cloud.project}/services?filter=state%3AENABLED&pageSize=200"
    return list(cloud.ask("serviceusage", "GET", path).get("services", []))


def enable(cloud: Cloud, options: Options, *names: str) -> None:
    """One API by its own call, several by one call for all, as the real one does."""
    where = f"/v1/projects/{cloud.project}/services"
    if len(names) == 1:
        operation = cloud.ask("serviceusage", "POST", f"{where}/{names[0]}:enable", {})
    else:
        operation = cloud.ask("serviceusage", "POST", f"{where}:batchEnable", {"serviceIds": list(names)})
    cloud.finish("serviceusage", operation, f"/v1/{operation['name']}")
    say(f'Operation "{operation["name"]}" finished successfully.')


def door(cloud: Cloud, options: Options) -> str:
    """Where the policy of a backend service behind Identity-Aware Proxy is."""
    if options.one("resource-type") != "backend-services" or not options.has("service"):
        raise Failed("the stand-in knows only --resource-type=backend-services with --service")
    number = cloud.ask("cloudresourcemanager", "GET", f"/v1/projects/{cloud.project}")["projectNumber"]
    return f"/v1/projects/{number}/iap_web/compute/services/{options.one('service')}"


def get_door(cloud: Cloud, options: Options) -> Json:
    body = {"options": {"requestedPolicyVersion": 3}}
    return without_nothing(cloud.ask("iap", "POST", f"{door(cloud, options)}:getIamPolicy", body))


def open_door(cloud: Cloud, options: Options) -> Json:
    return cloud.bind("iap", door(cloud, options), "POST", options)


def close_door(cloud: Cloud, options: Options) -> Json:
    return cloud.bind("iap", door(cloud, options), "POST", options, take=True)


COMMANDS = {
    "projects describe": (describe, "PROJECT_ID_OR_NUMBER", "", ""),
    "projects get-iam-policy": (get_policy, "PROJECT_ID_OR_NUMBER", "", ""),
    "projects add-iam-policy-binding": (add, "PROJECT_ID_OR_NUMBER", "member role condition", ""),
    "projects remove-iam-policy-binding": (remove, "PROJECT_ID_OR_NUMBER", "member role condition", "all"),
    "billing projects describe": (billing, "PROJECT_ID", "", ""),
    "services list": (services, "", "", "enabled"),
    "services enable": (enable, "SERVICE...", "", "async"),
    "iap web get-iam-policy": (get_door, "", "resource-type service region version", ""),
    "iap web add-iam-policy-binding": (open_door, "", "resource-type service member role condition region", ""),
    "iap web remove-iam-policy-binding": (close_door, "", "resource-type service member role condition region", ""),
}
