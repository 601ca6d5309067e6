"""gcloud container: clusters, node pools, and the kubeconfig that leads to a cluster."""

from __future__ import annotations

from fakes.standins.gcloud.cloud import Cloud, Failed, pairs, say
from fakes.standins.kubeconfig import Kubeconfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]

SCOPES = ["https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/userinfo.email"]


def parent(cloud: Cloud, options: Options) -> str:
    place = options.one("location") or options.one("zone") or options.one("region")
    if not place:
        raise Failed("One of [--location, --zone, --region] must be set")
    return f"projects/{cloud.project}/locations/{place}"


def ask(cloud: Cloud, method: str, path: str, body: Json | None = None, style: str = "response") -> Json:
    return cloud.ask("container", method, f"/v1/{path}", body, style=style)


def wait(cloud: Cloud, options: Options, operation: Json) -> None:
    path = f"/v1/{parent(cloud, options)}/operations/{operation['name']}"
    cloud.finish("container", operation, path, style="response")


def describe(cloud: Cloud, options: Options, name: str) -> Json:
    return ask(cloud, "GET", f"{parent(cloud, options)}/clusters/{name}")


def listed(cloud: Cloud, options: Options) -> list[Json]:
    place = options.one("location") or options.one("zone") or options.one("region") or "-"
    found = ask(cloud, "GET", f"projects/{cloud.project}/locations/{place}/clusters")
    return list(found.get("clusters", []))


def create(cloud: Cloud, options: Options, name: str) -> list[Json] | None:
    cluster: Json = {"name": name, "nodePools": [pool(options, "default-pool")], **labelled(options)}
    if options.has("release-channel"):
        cluster["releaseChannel"] = {"channel": options.one("release-channel").upper()}
    if options.has("workload-pool"):
        cluster["workloadIdentityConfig"] = {"workloadPool": options.one("workload-pool")}
    if options.has("enable-dataplane-v2"):
        cluster["networkConfig"] = {"datapathProvider": "ADVANCED_DATAPATH"}
    return made(cloud, options, cluster)


def create_auto(cloud: Cloud, options: Options, name: str) -> list[Json] | None:
    config = {**node_config(options), "oauthScopes": SCOPES}
    cluster: Json = {"name": name, "autopilot": {"enabled": True}, **labelled(options),
                     "nodePools": [{"name": "default-pool", "initialNodeCount": 1, "config": config}]}  # fmt: skip
    if options.has("release-channel"):
        cluster["releaseChannel"] = {"channel": options.one("release-channel").upper()}
    return made(cloud, options, cluster)


def made(cloud: Cloud, options: Options, cluster: Json) -> list[Json] | None:
    """Create, wait, and write the kubeconfig, which the real one does too."""
    place = parent(cloud, options)
    operation = ask(cloud, "POST", f"{place}/clusters", {"cluster": cluster, "parent": place})
    say(f"Creating cluster {cluster['name']} in {place.rpartition('/')[2]}...")
    if options.has("async"):
        return None
    wait(cloud, options, operation)
    found = describe(cloud, options, cluster["name"])
    enter(cloud, found)
    return [found] if options.has("format") else None


def labelled(options: Options) -> Json:
    return {"resourceLabels": pairs(options.one("labels"))} if options.has("labels") else {}


def node_config(options: Options) -> Json:
    """What the flags say of the nodes; a cluster's labels go on to them."""
    config: Json = {}
    if options.has("machine-type"):
        config["machineType"] = options.one("machine-type")
    if options.has("disk-size"):
        config["diskSizeGb"] = int(options.one("disk-size").removesuffix("GB"))
    if options.has("service-account"):
        config["serviceAccount"] = options.one("service-account")
    if options.has("labels"):
        config["resourceLabels"] = pairs(options.one("labels"))
    if options.has("spot"):
        config["spot"] = True
    if options.has("accelerator"):
        asked = pairs(options.one("accelerator"))
        accelerator: Json = {"acceleratorType": asked["type"], "acceleratorCount": asked.get("count", "1")}
        if "gpu-driver-version" in asked:
            driver = asked["gpu-driver-version"].upper()
            accelerator["gpuDriverInstallationConfig"] = {"gpuDriverVersion": driver}
        config["accelerators"] = [accelerator]
    return config


def pool(options: Options, name: str) -> Json:
    node_pool: Json = {"name": name, "initialNodeCount": int(options.one("num-nodes", "3")),
                       "config": {**node_config(options), "oauthScopes": SCOPES},
                       "management": {"autoRepair": True, "autoUpgrade": True},
                       "upgradeSettings": {"maxSurge": 1}}  # fmt: skip
    return {**node_pool, "autoscaling": scaling(options)} if options.has("enable-autoscaling") else node_pool


def scaling(options: Options) -> Json:
    limits = {"maxNodeCount": int(options.one("max-nodes", "0")), "minNodeCount": int(options.one("min-nodes", "0"))}
    return {"enabled": True, **limits}


def update(cloud: Cloud, options: Options, name: str) -> None:
    path = f"{parent(cloud, options)}/clusters/{name}"
    ask(cloud, "GET", path)
    if not options.has("enable-autoscaling"):
        raise Failed("the stand-in knows only --enable-autoscaling here")
    change = {"desiredNodePoolAutoscaling": scaling(options), "desiredNodePoolId": options.one("node-pool")}
    wait(cloud, options, ask(cloud, "PUT", path, {"name": path, "update": change}))
    say(f"Updated [https://container.googleapis.com/v1/{path}].")


def delete(cloud: Cloud, options: Options, *names: str) -> None:
    for name in names:
        path = f"{parent(cloud, options)}/clusters/{name}"
        wait(cloud, options, ask(cloud, "DELETE", path, style="several"))
        leave(cloud, options, name)
        say(f"Deleted [https://container.googleapis.com/v1/{path}].")


def credentials(cloud: Cloud, options: Options, name: str) -> None:
    say("Fetching cluster endpoint and auth data.")
    enter(cloud, describe(cloud, options, name))


def enter(cloud: Cloud, cluster: Json) -> None:
    """Write the cluster's context into $KUBECONFIG, as the current one."""
    name = cluster.get("name")
    if not cluster.get("endpoint"):
        raise Failed(f"cluster {name} is missing endpoint. Is it still PROVISIONING?")
    config = Kubeconfig.default()
    config.put(f"gke_{cloud.project}_{cluster['location']}_{name}", f"https://{cluster['endpoint']}",
               cluster["masterAuth"]["clusterCaCertificate"])  # fmt: skip
    say(f"kubeconfig entry generated for {name}.")


def leave(cloud: Cloud, options: Options, name: str) -> None:
    """Take a deleted cluster's context out of $KUBECONFIG."""
    Kubeconfig.default().remove(f"gke_{cloud.project}_{parent(cloud, options).rpartition('/')[2]}_{name}")


def pool_path(cloud: Cloud, options: Options) -> str:
    return f"{parent(cloud, options)}/clusters/{options.one('cluster')}/nodePools"


def describe_pool(cloud: Cloud, options: Options, name: str) -> Json:
    return ask(cloud, "GET", f"{pool_path(cloud, options)}/{name}")


def create_pool(cloud: Cloud, options: Options, name: str) -> None:
    path = pool_path(cloud, options)
    body = {"nodePool": pool(options, name), "parent": path.removesuffix("/nodePools")}
    wait(cloud, options, ask(cloud, "POST", path, body))
    say(f"Created [https://container.googleapis.com/v1/{path}/{name}].")


def delete_pool(cloud: Cloud, options: Options, name: str) -> None:
    wait(cloud, options, ask(cloud, "DELETE", f"{pool_path(cloud, options)}/{name}"))


PLACE = "location zone region"
NODES = "num-nodes machine-type disk-size min-nodes max-nodes service-account accelerator"
COMMANDS = {
    "container clusters describe": (describe, "NAME", PLACE, ""),
    "container clusters list": (listed, "", PLACE, ""),
    "container clusters create": (create, "NAME", f"{PLACE} {NODES} labels release-channel workload-pool",
                                  "enable-autoscaling enable-dataplane-v2 spot async"),
    "container clusters create-auto": (create_auto, "NAME", f"{PLACE} labels release-channel service-account", "async"),
    "container clusters update": (update, "NAME", f"{PLACE} min-nodes max-nodes node-pool", "enable-autoscaling"),
    "container clusters delete": (delete, "NAME...", PLACE, "async"),
    "container clusters get-credentials": (credentials, "NAME", PLACE, ""),
    "container node-pools describe": (describe_pool, "NAME", f"{PLACE} cluster", ""),
    "container node-pools create": (create_pool, "NAME", f"{PLACE} {NODES} cluster", "enable-autoscaling spot"),
    "container node-pools delete": (delete_pool, "NAME", f"{PLACE} cluster", ""),
}  # fmt: skip
