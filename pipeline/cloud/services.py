"""The project, who is logged in to it, and the APIs that an environment needs."""

from __future__ import annotations

from pipeline.cloud.asking import change
from pipeline.commands import Asking, Command, Steps, Unchanged
from pipeline.config import require_project
from pipeline.errors import PipelineError
from pipeline.settings import Settings
from pipeline.tools import gcloud, login


def apis(settings: Settings) -> tuple[str, ...]:
    """The APIs that this environment needs."""
    names = ["artifactregistry", "cloudresourcemanager", "compute", "container", "iam", "storage"]
    names += ["cloudbuild"] if settings.build_images.tool != "docker" else []
    names += ["iap", "servicemanagement"] if settings.iap.enabled else []
    return tuple(f"{name}.googleapis.com" for name in sorted(names))


def project(settings: Settings) -> Command:
    """Asks for the project; its number names it in Workload Identity."""
    return gcloud(
        settings, "projects", "describe", settings.gcp.project, "--format=json",
        doing=f"look for the project {settings.gcp.project}", kind="ask", parse="json", timeout=120,
        unasked={"projectNumber": "<project number>", "lifecycleState": "ACTIVE"},
    )  # fmt: skip


def enabled(settings: Settings) -> Command:
    """Asks which APIs are on."""
    return gcloud(
        settings, "services", "list", "--enabled", "--format=value(config.name)", doing="look which APIs are on",
        kind="ask", parse="text", unasked="", timeout=120,
    )  # fmt: skip


def enable(settings: Settings, names: tuple[str, ...]) -> Command:
    return change(settings, "services", "enable", *names, doing=f"turn on {', '.join(names)}")


def started(settings: Settings) -> Asking:
    """The project's number, once it is known that there is a project, and somebody logged in who may see it."""
    require_project(settings)
    yield from login(settings)
    found = yield project(settings)
    if found.get("lifecycleState") != "ACTIVE":
        raise PipelineError(f"project {settings.gcp.project} is {found.get('lifecycleState')}: choose another")
    return str(found["projectNumber"])


def turned_on(settings: Settings) -> Steps:
    """Turn on the APIs that are off; `clean` leaves them on, for others may use them."""
    there = set(((yield enabled(settings)) or "").split())
    missing = tuple(name for name in apis(settings) if name not in there)
    if missing:
        yield enable(settings, missing)
    else:
        yield Unchanged(f"{len(apis(settings))} APIs are on")
