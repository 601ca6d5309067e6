"""The page's entrance from the internet: its name, its reserved address, and whom Identity-Aware Proxy lets in."""

from __future__ import annotations

from pipeline import cloud, resources
from pipeline.clusters import balancers, kube
from pipeline.clusters.teardown import swept
from pipeline.commands import Note, Steps, Write
from pipeline.settings import Settings

KINDS = ("ingresses.networking.k8s.io", "managedcertificates.networking.gke.io", "backendconfigs.cloud.google.com")
"""What the entrance is made of in the cluster, outermost first."""

NAME = "web-ui"
"""What templates/iap.yaml.j2 calls each of them."""


def named(settings: Settings) -> Steps:
    """Lead the page's DNS name to the reserved address."""
    place = yield from cloud.reserved(settings, cloud.iap_address(settings))
    yield Write(settings.build / "endpoint.json", cloud.endpoint_file(settings, place))
    yield from resources.up(settings, cloud.public_name(settings, place))


def reserved(settings: Settings) -> Steps:
    """Before a load balancer is made: the addresses that it is to have are there."""
    for address in cloud.addresses(settings):
        yield from cloud.reserved(settings, address)


def guarded(settings: Settings) -> Steps:
    """Let the right people through to each backend that GKE made for the Ingress; say what is not ready yet."""
    found = yield kube.get(settings, "ingress", NAME, needs=("iap",), unasked=balancers.HAS_ADDRESS)
    for service in balancers.backends(found or balancers.HAS_ADDRESS):
        yield from cloud.guests(settings, service)
    certificate = yield kube.get(settings, "managedcertificate", NAME, needs=("iap",), unasked=ACTIVE)
    state = (certificate or {}).get("status", {}).get("certificateStatus") or "not there yet"
    if state != "Active":
        yield Note(f"its certificate is {state}: Google takes up to an hour, and until then no browser gets in")


ACTIVE = {"status": {"certificateStatus": "Active"}}


def shut(settings: Settings) -> Steps:
    """Take away an entrance that is not wanted any more, before the page changes: it would let everybody in."""
    if (yield kube.get(settings, "ingress", NAME)):
        for kind in KINDS:
            yield from swept(settings, kind)
