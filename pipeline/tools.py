"""gcloud, kubectl and docker as argv: each names its project, place, context and namespace, and reads private files."""

from __future__ import annotations

from typing import Any

from pipeline.commands import Command, Steps
from pipeline.settings import MANAGED_BY, Settings

APIS = {
    "artifactregistry": "artifactregistry/", "cloudbilling": "cloudbilling/", "cloudbuild": "cloudbuild/",
    "cloudresourcemanager": "cloudresourcemanager/", "compute": "compute/v1/", "container": "container/",
    "iam": "iam/", "iap": "iap/", "servicemanagement": "servicemanagement/", "serviceusage": "serviceusage/",
    "storage": "storage/storage/v1/",
}  # fmt: skip
"""Google's APIs that gcloud calls for us, and their places below `gcp.api_address`."""

LINK_LOGIN = (
    'mkdir -p "$0" && for part in active_config application_default_credentials.json configurations '
    "credentials.db legacy_credentials; "
    'do [ -L "$0/$part" ] || rm -rf "$0/$part"; ln -sfn "${1:-$HOME/.config/gcloud}/$part" "$0/$part"; done'
)
"""Login and proxy of the user's gcloud, under a configuration folder of our own: what gcloud notes down goes there."""


def gcloud(settings: Settings, *words: str, doing: str, **how: Any) -> Command:
    """A gcloud command in the environment's project; never asks anything."""
    argv = ("gcloud", *words, f"--project={settings.gcp.project}", "--quiet")
    return Command(argv, doing, env=gcloud_environment(settings), **how)


def gcloud_environment(settings: Settings) -> dict[str, str]:
    """The variables of every gcloud, also of the one that kubectl and docker call for a token."""
    build, api = settings.build, settings.gcp.api_address
    ours = {
        "CLOUDSDK_CONFIG": str(build / "gcloud"), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_FILE_LOGGING": "1", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1", "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
        "KUBECONFIG": str(kubeconfig(settings)), "USE_GKE_GCLOUD_AUTH_PLUGIN": "True",
    }  # fmt: skip
    if api:
        places = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{name.upper()}": f"{api}/{end}" for name, end in APIS.items()}
        ours |= places
    return ours


def kubeconfig(settings: Settings) -> Any:
    """The environment's own kubeconfig, which holds one context."""
    return settings.build / "kubeconfig"


def context(settings: Settings) -> str:
    """The kubectl context: as gcloud names a GKE cluster's, or the one that the settings name."""
    if settings.cluster.kind == "gke":
        return f"gke_{settings.gcp.project}_{settings.location}_{settings.name}"
    return settings.cluster.context or ""


def kubectl(
    settings: Settings, *words: str, doing: str, limit: str = "30s", namespace: str | None = "", **how: Any
) -> Command:
    """A kubectl command on the environment's cluster and namespace; `limit` bounds each request (0: none).

    `namespace` names another one; None is for manifests of several, which kubectl refuses where it is given one.
    """
    inside = "" if namespace is None else namespace or settings.cluster.namespace
    place = (f"--kubeconfig={kubeconfig(settings)}", f"--context={context(settings)}", f"--namespace={inside}",
             f"--request-timeout={limit}", f"--cache-dir={settings.build / 'kubectl-cache'}")  # fmt: skip
    return Command(("kubectl", *words, *place), doing, env=gcloud_environment(settings), **how)


def docker(settings: Settings, *words: str, doing: str, **how: Any) -> Command:
    """A docker command with a configuration of the environment's own."""
    env = {**gcloud_environment(settings), "DOCKER_CONFIG": str(settings.build / "docker")}
    return Command(("docker", *words), doing, env=env, **how)


def login(settings: Settings) -> Steps:
    """Make the private gcloud configuration, which leads to the user's own login."""
    import os

    theirs = "" if settings.host else os.environ.get("CLOUDSDK_CONFIG", "")
    argv = ("sh", "-c", LINK_LOGIN, str(settings.build / "gcloud"), theirs)
    yield Command(argv, "give gcloud a configuration of its own", kind="ask", timeout=20)


def labels(settings: Settings) -> dict[str, str]:
    """What everything of an environment bears in Google Cloud; keys there hold no dots and no slashes."""
    return {"managed-by": MANAGED_BY, "part-of": settings.name, "environment": settings.environment}
