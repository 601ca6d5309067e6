"""What single settings cannot say about themselves: two that do not fit each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline import endpoint, names
from pipeline.settings import ROOT, Settings

Conflict = tuple[str, str]
"""The setting to change, by its dotted key, and the sentence about it."""

LONGEST_NAME = 24
"""A service account's id has at most 30 characters, and the longest of ours is `<name>-nodes`."""

FEWEST = 3
"""Trials of a search by halving: the best third goes on."""

LONGEST_HOST = 63
"""What Google's managed certificates allow."""

ALIKE = "and on this machine nothing leads from one to the other; give both the same"


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Every pair of settings that cannot both hold."""
    yield from _zone(settings)
    yield from _bucket(settings)
    yield from _address(settings)
    yield from _ports(settings)
    yield from _canary(settings)
    yield from _cluster(settings)
    yield from _training(settings)
    yield from _serving(settings)
    yield from _identity(settings)
    yield from _page(settings)
    yield from _notebook(settings)
    yield from _tuning(settings)


def _zone(settings: Settings) -> Iterator[Conflict]:
    region, zone = settings.gcp.region, settings.gcp.zone
    if zone.rpartition("-")[0] != region:
        yield "gcp.zone", f'"{zone}" does not lie in gcp.region "{region}"; write one like {region}-c'


def _bucket(settings: Settings) -> Iterator[Conflict]:
    given = settings.storage.bucket
    if settings.storage.kind == "folder" and settings.cluster.kind != "local":
        yield "storage.kind", "a pod cannot reach a folder of this machine; write gcs"
    elif settings.storage.kind == "gcs":
        name = settings.bucket.removeprefix("gs://")
        made = "" if given else " (made from gcp.project and name; write another)"
        yield from _broken(names.bucket_name, "storage.bucket", given or name, made)
    elif re.search(r"[*?\[]", settings.bucket):
        yield "storage.bucket", f'TensorFlow takes "{settings.bucket}" for a pattern; write a place without *, ? and ['
    elif given is not None:
        yield from _broken(names.text, "storage.bucket", given)
        place, checkout = Path(settings.bucket), ROOT
        if given.startswith("~"):
            yield "storage.bucket", f'"{given}" is taken as it stands; write your home folder out'
        elif checkout.is_relative_to(place) or place in (checkout / "build", settings.build):
            yield "storage.bucket", f'"{given}" holds more than models; write a folder of its own'


def _address(settings: Settings) -> Iterator[Conflict]:
    # On a cluster the first part of the address is the Service that we create, unless a Gateway is before it.
    if settings.cluster.kind != "local" and settings.serving.canary.gateway is None:
        yield from _broken(names.service_name, "serving.address", settings.serving.address.split(".")[0])


def _ports(settings: Settings) -> Iterator[Conflict]:
    listening = [
        ("serving.grpc_port", settings.serving.grpc_port),
        ("serving.rest_port", settings.serving.rest_port),
    ]
    if settings.cluster.kind == "local":  # every component listens on this machine, and nothing forwards
        for key, component in (("web_ui", settings.web_ui), ("tensorboard", settings.tensorboard)):
            listening.append((f"{key}.port", component.port))
            if component.service_port != component.port:
                yield (
                    f"{key}.service_port",
                    f"{component.service_port} differs from {key}.port {component.port}, {ALIKE}",
                )
        listening += [("serving.canary.first_port", port) for port in settings.serving.canary.ports]
    seen: dict[int, str] = {}
    for key, port in listening:
        if port in seen and key == "serving.canary.first_port":
            yield key, f"five ports from here on are a canary's, and {port} is {seen[port]} already; choose others"
        elif port in seen:
            yield key, f"{port} is {seen[port]} already; two servers cannot share a port"
        seen.setdefault(port, key)


def _canary(settings: Settings) -> Iterator[Conflict]:
    gateway, serving = settings.serving.canary.gateway, settings.serving
    if gateway and settings.cluster.kind == "local":
        yield "serving.canary.gateway", "this machine has no Gateway; leave it null, and the router shares requests out"
    elif gateway and serving.address.split(".")[0] == f"{serving.model_name}-service":
        yield (
            "serving.canary.gateway",
            "the web UI would go past it, to the Service itself; write the Gateway's address as serving.address too",
        )


def _cluster(settings: Settings) -> Iterator[Conflict]:
    cluster = settings.cluster
    if cluster.kind == "existing" and cluster.context is None:
        yield "cluster.context", "an existing cluster is known by its context; `kubectl config get-contexts` lists them"
    if cluster.kind != "existing" and cluster.context is not None:
        yield "cluster.context", f'{cluster.kind} makes its own; leave it null, or write cluster.kind "existing"'
    if cluster.nodes > cluster.max_nodes:
        yield "cluster.nodes", f"{cluster.nodes} are more than cluster.max_nodes {cluster.max_nodes}"
    if cluster.kind == "local" and settings.host is not None:
        yield "host", "the local environment runs on this machine; leave it null, or log in there and run it there"
    if cluster.kind == "local" and settings.training.gpus is not None:
        yield "training.gpus", "a training on this machine uses its processors only; leave it null"


def _training(settings: Settings) -> Iterator[Conflict]:
    training = settings.training
    together = 1 + training.workers
    if training.parameter_servers:
        if not training.workers:
            yield "training.parameter_servers", "the chief only deals out the work; write training.workers from 1 too"
        if training.global_batch == "scale":
            yield "training.global_batch", "with parameter servers each worker has whole batches of its own; write keep"
        if (training.gpus or 0) > 1:
            yield "training.gpus", "with parameter servers a worker uses one GPU; write 1, and more training.workers"
    elif training.global_batch == "keep" and training.batch_size < together * (training.gpus or 1):
        sharing = together * (training.gpus or 1)
        yield "training.batch_size", f"{training.batch_size} images cannot be shared among {sharing} that learn in step"


def _serving(settings: Settings) -> Iterator[Conflict]:
    serving, kind = settings.serving, settings.cluster.kind
    if serving.max_replicas is not None and serving.max_replicas < serving.replicas:
        yield "serving.max_replicas", f"{serving.max_replicas} are less than serving.replicas {serving.replicas}"
    if serving.managed_prometheus and kind != "gke":
        yield "serving.managed_prometheus", f"only GKE brings a Prometheus, and cluster.kind is {kind}; write false"
    if kind != "local":
        return
    if serving.kind == "kserve":
        yield "serving.kind", "this machine has no KServe; write deployment"
    if serving.max_replicas is not None:
        yield "serving.max_replicas", "one machine runs one server; leave it null"
    if serving.gpus is not None:
        yield "serving.gpus", "the embedded server uses this machine's processors only; leave it null"


def _identity(settings: Settings) -> Iterator[Conflict]:
    kind, length = settings.cluster.kind, len(settings.name)
    if kind == "gke" and length > LONGEST_NAME:
        yield "name", f'has {length} characters; {LONGEST_NAME} at most leave room for "-nodes" in an account\'s id'
    if kind == "existing" and settings.identity == "workload-identity":
        yield "identity", "only GKE has Workload Identity; write key-secret for an existing cluster"


def _page(settings: Settings) -> Iterator[Conflict]:
    page, iap = settings.web_ui, settings.iap
    if page.source_ranges and page.service_type != "LoadBalancer":
        yield "web_ui.source_ranges", "only a LoadBalancer looks where people come from; write web_ui.service_type too"
    if not iap.enabled:
        return
    if settings.cluster.kind != "gke":
        yield (
            "iap.enabled",
            f"only GKE has Google's login before its pages, and cluster.kind is {settings.cluster.kind}",
        )
    if not iap.members:
        yield "iap.members", "nobody could enter; name somebody, such as user:ann@example.org"
    if page.service_type == "LoadBalancer":
        yield "web_ui.service_type", "a LoadBalancer would lead past the login of iap.enabled; write ClusterIP"
    host = endpoint.host(settings)
    if len(host) > LONGEST_HOST:
        yield "name", f"makes the page {host}, {len(host)} characters; a certificate is for {LONGEST_HOST} at most"


def _notebook(settings: Settings) -> Iterator[Conflict]:
    bind = settings.notebook.bind
    if bind not in ("127.0.0.1", "localhost"):
        yield "notebook.bind", f'"{bind}" lets the whole cluster into a notebook without a password; write 127.0.0.1'


def _tuning(settings: Settings) -> Iterator[Conflict]:
    tuning = settings.tuning
    if tuning.algorithm == "halving" and tuning.trials < FEWEST:
        yield "tuning.trials", f"{tuning.trials} are too few to halve; write {FEWEST} or more, or algorithm random"
    if tuning.algorithm == "halving" and tuning.steps < tuning.trials:
        yield "tuning.steps", f"{tuning.steps} are less than one for each of {tuning.trials} trials; write more"


def _broken(rule: Callable[[str], str], key: str, text: str, addition: str = "") -> Iterator[Conflict]:
    try:
        rule(text)
    except ValueError as error:
        yield key, f"{error}{addition}"
