"""What exists in the fake world as lines of text, the same for two runs that made the same things."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fakes.google import compute, iap
from fakes.state import State

KINDS = ("container.clusters", "artifactregistry.repositories", "iam.accounts", "storage.buckets",
         "servicemanagement.services", *(f"compute.{kind}" for kind in compute.SINGULAR))  # fmt: skip
"""Collections of State whose names are the names of what exists."""

PASSING = ("pods", "events", "replicasets", "endpoints", "endpointslices", "leases", "nodes", "controllerrevisions")
"""Kubernetes objects that controllers make, under names that differ from run to run."""

ARCHIVE = re.compile(r"[0-9.]+-[0-9a-f]{32}\.tgz")
"""What `gcloud builds submit` calls the sources that it uploads."""


def of(state: State) -> list[str]:
    """The lines, sorted, each once."""
    with state.lock:
        return sorted({*things(state), *inside(state), *policies(state), *kubernetes(state)})


def things(state: State) -> Iterator[str]:
    for kind in KINDS:
        for name, one in state.of(kind).items():
            yield f"{kind} {name} {marks(one)}".rstrip()


def marks(one: object) -> str:
    """The labels of a thing, as far as it has any."""
    labels = (one.get("labels") or one.get("resourceLabels") or {}) if isinstance(one, dict) else {}
    return " ".join(f"{name}={value}" for name, value in sorted(labels.items()))


def inside(state: State) -> Iterator[str]:
    for bucket in state.of("storage.buckets"):
        for name in state.of(f"storage.objects/{bucket}"):
            yield f"object {bucket}/{ARCHIVE.sub('*.tgz', name)}"
    for images in state.of("artifactregistry.images").values():
        for one in images.values():
            yield f"image {one['uri']} {' '.join(sorted(one['tags']))}".rstrip()
    for account, keys in state.of("iam.keys").items():
        for _ in keys:
            yield f"key of {account}"
    for name, cluster in state.of("container.clusters").items():
        for pool in cluster["nodePools"]:
            yield f"node pool {name}/{pool['name']} {pool.get('autoscaling')}"


def policies(state: State) -> Iterator[str]:
    for where, policy in state.of("policies").items():
        if iap.forgotten(state, where):
            continue
        for binding in policy["bindings"]:
            for member in binding["members"]:
                yield f"binding on {where}: {binding['role']} {re.sub('uid=[0-9]+', 'uid=…', member)}"


def kubernetes(state: State) -> Iterator[str]:
    """What stands in the clusters that run."""
    for place, cluster in state.of("live clusters").items():
        for name in cluster.objects:
            if name.partition("/")[0].partition(".")[0] not in PASSING:
                yield f"kubernetes {place} {name}"
