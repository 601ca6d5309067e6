"""The web UI's place on the internet: its host name behind IAP, and what its addresses are called."""

from __future__ import annotations

from typing import Any

from pipeline.settings import Settings


def host(settings: Settings) -> str:
    """The name that Cloud Endpoints gives the page; Google's own, so that nobody needs a domain."""
    return f"{settings.name}.endpoints.{settings.gcp.project}.cloud.goog"


def address_name(settings: Settings) -> str:
    """What the global static address, of the page behind IAP, is called in Compute Engine."""
    return f"{settings.name}-ip"


def page_address_name(settings: Settings) -> str:
    """What the region's static address, of the page's own load balancer, is called there."""
    return f"{settings.name}-web"


def description(settings: Settings, title: str, place: str) -> dict[str, Any]:
    """What Cloud Endpoints is told: an OpenAPI 2.0 document whose host leads to an IP address."""
    return {
        "swagger": "2.0",
        "info": {"title": title, "version": "1"},
        "host": host(settings),
        "x-google-endpoints": [{"name": host(settings), "target": place}],
        "paths": {},
    }
