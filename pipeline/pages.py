"""Pages for people: where each is, the way to it, and the browser that shows it."""

from __future__ import annotations

import contextlib
import webbrowser
from dataclasses import dataclass

from invoke.context import Context

from pipeline import clusters, endpoint
from pipeline.errors import PipelineError, RunFailed
from pipeline.execution import say
from pipeline.processes import unwinding_on_sigterm
from pipeline.running import command, up
from pipeline.settings import Settings
from pipeline.views import attached


@dataclass(frozen=True)
class Page:
    """A page behind a Service: the Service, the task that starts it, and its namespace where it is not ours."""

    service: str
    task: str
    namespace: str = ""
    port: str = ""
    """Its name, where the Service has several."""


PAGES = {
    "ui": Page("web-ui", "ui"),
    "tensorboard": Page("tensorboard", "tensorboard"),
    "notebook": Page("notebook", "notebook"),
    "dashboard": Page(
        "istio-ingressgateway", "deploy --set kubeflow.components=training,dashboard", "istio-system", "http2"
    ),
}

LOCAL = ("ui", "tensorboard", "notebook")
"""The pages that this machine has."""

CONSOLE = {
    "cluster": "kubernetes/clusters/details/{location}/{name}/details?project={project}",
    "workloads": "kubernetes/workload/overview?project={project}",
    "bucket": "storage/browser/{bucket}?project={project}",
    "images": "artifacts/docker/{project}/{region}/{name}?project={project}",
    "logs": "logs/query?project={project}",
}
"""Pages of Google's console, as paths below https://console.cloud.google.com/."""


def open_page(c: Context, page: str = "ui", browser: bool = True, port: int = 0) -> None:
    """Print a page's address, and show it in a browser where there is one.

    On a cluster a port-forward leads to it, for as long as this runs: until Ctrl-C.
    """
    if page not in PAGES:
        raise PipelineError(f'there is no page "{page}": known are {", ".join(PAGES)}')
    settings = attached(c)
    if settings.cluster.kind == "local" and page not in LOCAL:
        raise PipelineError(
            f"this machine has no {page}: known are {', '.join(LOCAL)}; a cluster has it: --env=staging"
        )
    if page == "dashboard":
        for line in console(settings):
            say(line)
    there = outside(settings, page)
    if there:
        show(there, browser)
    else:
        forwarded(c, settings, page, browser, port)


def outside(settings: Settings, page: str) -> str:
    """The page's address without a port-forward; empty where it has none."""
    behind_iap = page == "ui" and settings.iap.enabled
    balanced = page == "ui" and settings.web_ui.service_type == "LoadBalancer"
    if not (settings.cluster.kind == "local" or behind_iap or balanced):
        return ""
    try:
        place = clusters.of(settings).address(settings, PAGES[page].service, "")
    except PipelineError as error:
        raise not_up(settings, page, error) from None
    if behind_iap:
        return f"https://{endpoint.host(settings)}"
    if page == "notebook":
        return f"http://{place}/?token={settings.notebook_key.read_text()}"
    return "" if f"{PAGES[page].service}." in place else f"http://{place}"


def not_up(settings: Settings, page: str, error: PipelineError) -> PipelineError:
    """The sentence for a page whose Service is not there; any other error is what it was."""
    one = PAGES[page]
    if f"no Service {one.service} is there" not in str(error.message):
        return error
    where = "" if settings.cluster.kind == "local" else f"--env={settings.environment} "
    return PipelineError(f"{page} is not up in {settings.environment}: `invoke {where}{one.task}` starts it")


def show(url: str, browser: bool) -> None:
    say(url)
    if browser:
        try:
            webbrowser.get().open(url)
        except webbrowser.Error:
            say("no browser was found here: open that address yourself")


def forwarded(c: Context, settings: Settings, page: str, browser: bool, port: int) -> None:
    """Lead a port of this machine to the page until Ctrl-C; RunFailed where the way breaks by itself."""
    one = PAGES[page]
    try:
        with (
            unwinding_on_sigterm(),
            clusters.of(settings).reach(settings, one.service, one.port, port, one.namespace) as way,
            contextlib.suppress(KeyboardInterrupt),
        ):
            show(f"http://{way.address}", browser)
            say("a port-forward leads there; Ctrl-C ends it")
            way.over.wait()
            raise RunFailed(f"the port-forward to {page} ended: `{command(c, 'open')} {page}` opens it again")
    except PipelineError as error:
        raise not_up(settings, page, error) from None
    say("closed")


def console(settings: Settings) -> list[str]:
    """Where Google's console shows what the environment has."""
    known = {
        "location": settings.location, "name": settings.name, "project": settings.gcp.project,
        "bucket": settings.bucket.removeprefix("gs://"), "region": settings.gcp.region,
    }  # fmt: skip
    return [f"{what:10} https://console.cloud.google.com/{path.format(**known)}" for what, path in CONSOLE.items()]


def notebook(c: Context, browser: bool = True) -> None:
    """Bring the notebook server up, and lead to it."""
    up(c, "notebook")
    if not c.config.run.dry:
        open_page(c, "notebook", browser)
