"""gcloud compute: zones, regions, addresses, and what clusters leave behind."""

from __future__ import annotations

from functools import partial

from fakes.standins.gcloud.cloud import Cloud, Failed, error_of, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

KINDS = {"addresses": "addresses", "backend-services": "backendServices", "disks": "disks",
         "firewall-rules": "firewalls", "forwarding-rules": "forwardingRules",
         "target-pools": "targetPools"}  # fmt: skip
"""gcloud's name of a kind → the API's."""


def where(cloud: Cloud, options: Options, collection: str) -> str:
    """The scope in the path: global, or the region or zone that the flags name."""
    base = f"/v1/projects/{cloud.project}"
    if options.has("region"):
        return f"{base}/regions/{options.one('region')}"
    if options.has("zone"):
        return f"{base}/zones/{options.one('zone')}"
    if options.has("global") or collection == "firewalls":
        return f"{base}/global"
    raise Failed("Underspecified resource. Specify one of the [--global, --region, --zone] flags.")


def ask(cloud: Cloud, method: str, path: str, style: str, body: Json | None = None) -> Json:
    return cloud.ask("compute", method, path, body, style=style)


def zone(cloud: Cloud, options: Options, name: str) -> Json:
    return ask(cloud, "GET", f"/v1/projects/{cloud.project}/zones/{name}", "fetch")


def region(cloud: Cloud, options: Options, name: str) -> Json:
    return ask(cloud, "GET", f"/v1/projects/{cloud.project}/regions/{name}", "fetch")


def describe(collection: str, cloud: Cloud, options: Options, name: str) -> Json:
    return ask(cloud, "GET", f"{where(cloud, options, collection)}/{collection}/{name}", "fetch")


def listed(collection: str, cloud: Cloud, options: Options) -> list[Json]:
    """Of every scope; firewall rules have only one."""
    base = f"/v1/projects/{cloud.project}"
    if collection == "firewalls":
        return list(request(cloud, "GET", f"{base}/global/{collection}").get("items", []))
    found = request(cloud, "GET", f"{base}/aggregated/{collection}?includeAllScopes=True&returnPartialSuccess=True")
    return [one for scope in found["items"].values() for one in scope.get(collection, [])]


def request(cloud: Cloud, method: str, path: str, body: Json | None = None) -> Json:
    """A request whose failure gcloud words as "Some requests did not succeed"."""
    answer = cloud.send("compute", method, path, body)
    if not answer.ok:
        problem = "Some requests did not succeed" if method == "GET" else "Could not fetch resource"
        raise Failed(f"{problem}:\n - {error_of(answer).get('message', '')}\n")
    return dict(answer.json)


def create(collection: str, cloud: Cloud, options: Options, name: str) -> None:
    body = {"name": name, "description": options.one("description")}
    if collection == "addresses" and options.has("global"):
        body["ipVersion"] = "IPV4"
    path = f"{where(cloud, options, collection)}/{collection}"
    done(cloud, request(cloud, "POST", path, {key: value for key, value in body.items() if value}))
    say(f"Created [https://www.googleapis.com/compute{path}/{name}].")


def delete(collection: str, cloud: Cloud, options: Options, *names: str) -> None:
    for name in names:
        path = f"{where(cloud, options, collection)}/{collection}/{name}"
        done(cloud, request(cloud, "DELETE", path))
        say(f"Deleted [https://www.googleapis.com/compute{path}].")


def done(cloud: Cloud, operation: Json) -> None:
    """Wait for an operation in its scope."""
    scope = operation["selfLink"].partition("/compute/v1/")[2].rpartition("/operations/")[0]
    cloud.finish("compute", operation, f"/v1/{scope}/operations/{operation['name']}")


COMMANDS = {
    "compute zones describe": (zone, "NAME", "", ""),
    "compute regions describe": (region, "NAME", "", ""),
    "compute addresses create": (partial(create, "addresses"), "NAME", "description region", "global"),
    **{f"compute {kind} describe": (partial(describe, name), "NAME", "region zone", "global")
       for kind, name in KINDS.items()},
    **{f"compute {kind} list": (partial(listed, name), "", "", "") for kind, name in KINDS.items()},
    **{f"compute {kind} delete": (partial(delete, name), "NAME...", "region zone", "global")
       for kind, name in KINDS.items()},
}  # fmt: skip
