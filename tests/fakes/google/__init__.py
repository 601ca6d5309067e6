"""Google's APIs as far as this pipeline uses them: one HTTP server on loopback, one module for each API."""

from __future__ import annotations

from fakes.google import (
    artifactregistry,
    cloudbilling,
    cloudbuild,
    cloudresourcemanager,
    compute,
    container,
    iam,
    iap,
    servicemanagement,
    serviceusage,
    uploads,
)
from fakes.server import Handle

HANDLES: dict[str, Handle] = {
    "artifactregistry": artifactregistry.handle,
    "cloudbilling": cloudbilling.handle,
    "cloudbuild": cloudbuild.handle,
    "cloudresourcemanager": cloudresourcemanager.handle,
    "compute": compute.handle,
    "container": container.handle,
    "iam": iam.handle,
    "iap": iap.handle,
    "servicemanagement": servicemanagement.handle,
    "serviceusage": serviceusage.handle,
    "storage": uploads.handle,
}
"""Each API's answers, by the first segment of the paths below the server's address."""


def route(path: str) -> tuple[str, str]:
    """The API and its own path: `/compute/v1/projects/p` is ("compute", "/v1/projects/p")."""
    _, first, *rest = path.split("/", 2)
    if first in ("upload", "resumable", "download"):
        return "storage", path
    return first, "/" + "".join(rest)
