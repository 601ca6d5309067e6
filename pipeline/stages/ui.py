"""UI: the web page in front of the model server, and its entrance from the internet where there is one."""

from __future__ import annotations

from pipeline import clusters, endpoint
from pipeline.clusters import entrance
from pipeline.commands import Result, Steps
from pipeline.settings import Settings
from pipeline.stages import brought_up, page_up


def up(settings: Settings) -> Steps:
    if settings.cluster.kind == "gke":
        yield from clusters.of(settings).guard(settings)
        yield from entrance.reserved(settings)
    if settings.iap.enabled:
        yield from behind_iap(settings)
        return
    if settings.cluster.kind == "gke":
        yield from entrance.shut(settings)
    yield from page_up(settings, "web-ui")


def behind_iap(settings: Settings) -> Steps:
    """The page, then the login before it: a page on the internet is never without."""
    yield from brought_up(settings, "web-ui")
    yield from brought_up(settings, "iap")
    yield from entrance.guarded(settings)
    yield Result(f"https://{endpoint.host(settings)} for {', '.join(settings.iap.members)}")
