"""What a path of the Kubernetes API names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import refusals as refuse
from fakes.kubernetes.kinds import Kind
from fakes.state import Request

if TYPE_CHECKING:
    from fakes.kubernetes.cluster import Cluster

Object = dict[str, Any]

PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/(?!status$|finalize$)))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+)(?P<rest>/.*)?)?"
)


@dataclass(frozen=True)
class Target:
    """What a path names."""

    kind: Kind
    namespace: str
    name: str
    sub: str
    rest: str


def targeted(cluster: Cluster, request: Request) -> Target:
    found = PATH.fullmatch(request.path)
    if not found:
        raise refuse.no_such_path()
    named = found["group"] or "", found["version"], found["plural"]
    for kind in cluster.kinds:
        if (kind.group, kind.version, kind.plural) == named:
            parts = (found[part] or "" for part in ("namespace", "name", "sub", "rest"))
            return Target(kind, *parts)
    raise refuse.no_such_path()


def existing(cluster: Cluster, target: Target) -> Object:
    found = cluster.store.get(target.kind, target.namespace, target.name)
    if found is None:
        raise refuse.not_found(target.kind, target.name)
    return found
