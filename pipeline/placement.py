"""What a pod gets from its environment: who it is, the kind of machine it runs on, and a sight of its GPUs."""

from __future__ import annotations

from typing import Any

from pipeline.settings import Settings

Template = dict[str, Any]

ACCOUNTS = {
    "preflight": "trainer", "train": "trainer",
    "serving": "reader", "web-ui": "reader", "tensorboard": "reader", "notebook": "reader",
}  # fmt: skip
"""Each component's ServiceAccount: `trainer` writes to the bucket, `reader` only reads; the router needs none."""

KEY_SECRET = "user-gcp-sa"  # noqa: S105  # the Secret's name, as the tutorial had it
KEY_FOLDER = "/var/secrets"
KEY_FILE = f"{KEY_FOLDER}/{KEY_SECRET}.json"


def placed(template: Template, settings: Settings, component: str) -> None:
    """Complete a pod template for its cluster; on this machine a process has all that it needs."""
    if settings.cluster.kind == "local":
        return
    if component in ACCOUNTS:
        template["spec"] = {"serviceAccountName": ACCOUNTS[component], **template["spec"]}
    if component in ACCOUNTS and settings.identity == "key-secret":
        mount_key(template["spec"])
    if settings.cluster.kind == "gke" and settings.cluster.autopilot and settings.cluster.spot:
        ask_for_spot(template["spec"])
    if component == "train" and settings.training.gpus and learns(template, settings):
        ask_for_gpus(template["spec"], settings, settings.training.gpus)
        show_gpus(template["spec"], settings, settings.training.gpus)
    if component == "serving" and settings.serving.gpus:
        ask_for_gpus(template["spec"], settings, settings.serving.gpus)


def learns(template: Template, settings: Settings) -> bool:
    """Whether a replica of the training takes steps: parameter servers, evaluators and some chiefs do not."""
    role = template["metadata"]["labels"]["app.kubernetes.io/component"]
    return role in {kind.lower() for kind in settings.training.with_gpus}


def mount_key(pod: Template) -> None:
    """Show Google's libraries the service account's key, which `deploy` put into a Secret."""
    # 0440: the group is fsGroup's; a key that everybody may read is refused elsewhere too.
    pod.setdefault("volumes", []).append(
        {"name": "key", "secret": {"secretName": KEY_SECRET, "defaultMode": 0o440}},
    )
    for container in pod["containers"]:
        container.setdefault("volumeMounts", []).append({"name": "key", "mountPath": KEY_FOLDER, "readOnly": True})
        container.setdefault("env", []).append({"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": KEY_FILE})


def ask_for_spot(pod: Template) -> None:
    """Have Autopilot run the pod on Spot machines; on a standard cluster the node pool says so already."""
    pod["terminationGracePeriodSeconds"] = 25  # what is left between the notice and the end
    pod.setdefault("nodeSelector", {})["cloud.google.com/gke-spot"] = "true"
    pod.setdefault("tolerations", []).append(
        {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
    )


def ask_for_gpus(pod: Template, settings: Settings, count: int) -> None:
    """Have the pod run where GPUs are."""
    if settings.cluster.kind == "gke":
        pod.setdefault("nodeSelector", {})["cloud.google.com/gke-accelerator"] = settings.cluster.gpu_type
    pod.setdefault("tolerations", []).append({"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"})
    for container in pod["containers"]:
        container["resources"]["limits"]["nvidia.com/gpu"] = count


def show_gpus(pod: Template, settings: Settings, count: int) -> None:
    """Have the trainer see its GPUs: left alone, it hides them from TensorFlow. Images of NVIDIA's need none of it."""
    variables = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(count)))}
    if settings.cluster.kind == "gke":
        variables["LD_LIBRARY_PATH"] = "/usr/local/nvidia/lib64"  # where GKE mounts the node's driver
    for container in pod["containers"]:
        container.setdefault("env", []).extend({"name": name, "value": value} for name, value in variables.items())
