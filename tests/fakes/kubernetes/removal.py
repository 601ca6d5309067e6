"""How objects come and go: what the server adds to new ones, finalizers, and what goes along with what is deleted."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fakes.kubernetes import defaults
from fakes.kubernetes.kinds import Kind, defined_by
from fakes.kubernetes.store import now

if TYPE_CHECKING:
    from fakes.kubernetes.inside import Inside

Object = dict[str, Any]


def created(cluster: Inside, kind: Kind, found: Object) -> Object:
    """Store a new object; a namespace comes with its service account, a CRD with its kinds."""
    filled = copy.deepcopy(found) | {"apiVersion": kind.api_version, "kind": kind.kind}
    defaults.fill(kind, filled)
    if kind.resource.startswith("customresourcedefinitions."):
        cluster.kinds += [new for new in defined_by(filled) if new not in cluster.kinds]
    made = cluster.store.add(kind, filled)
    if kind.resource == "namespaces":
        inside = {"namespace": made["metadata"]["name"]}
        cluster.store.add(cluster.kind("serviceaccounts"), {"metadata": {"name": "default", **inside}})
        root = {"metadata": {"name": "kube-root-ca.crt", **inside}, "data": {"ca.crt": cluster.ca}}
        cluster.store.add(cluster.kind("configmaps"), root)
    return made


def changed(cluster: Inside, kind: Kind, found: Object) -> Object:
    """Store a changed object; one that waited for its last finalizer goes."""
    if found["metadata"].get("deletionTimestamp") and not found["metadata"].get("finalizers"):
        cluster.store.remove(kind, found)
        return found
    if kind.resource.startswith("customresourcedefinitions."):
        new = defined_by(found)
        cluster.kinds = [one for one in cluster.kinds if one not in new] + new
    return cluster.store.put(kind, found)


def delete(cluster: Inside, kind: Kind, found: Object, orphan: bool = False) -> Object | None:
    """Delete an object and what it owns; the object itself where it stays for a while, else None."""
    if found["metadata"].get("finalizers") or kind.resource == "namespaces":
        found["metadata"].setdefault("deletionTimestamp", now())
        if kind.resource == "namespaces":
            found["status"] = {"phase": "Terminating"}
            cluster.store.put(kind, found)
            cluster.controllers.begin(found["metadata"]["uid"], emptied(cluster, kind, found))
        else:
            cluster.store.put(kind, found)
        return found
    if kind.resource.startswith("customresourcedefinitions."):
        undefine(cluster, found)
    cluster.store.remove(kind, found)
    if not orphan:
        for one, owned in belongings(cluster, found["metadata"]["uid"]):
            delete(cluster, one, owned)
    return None


def emptied(cluster: Inside, kind: Kind, found: Object) -> Iterator[None]:
    """A namespace that goes: first all that is in it, then itself, unless a finalizer keeps something."""
    name = found["metadata"]["name"]
    for one in [one for one in cluster.kinds if one.namespaced]:
        for inside in cluster.store.every(one, name):
            if not inside["metadata"].get("deletionTimestamp"):
                delete(cluster, one, inside)
    yield
    while any(next(cluster.store.every(one, name), None) for one in cluster.kinds if one.namespaced):
        yield
    cluster.store.remove(kind, found)


def undefine(cluster: Inside, definition: Object) -> None:
    for one in [one for one in cluster.kinds if one in defined_by(definition)]:
        for found in cluster.store.every(one):
            delete(cluster, one, found)
        cluster.kinds = [other for other in cluster.kinds if other != one]


def belongings(cluster: Inside, uid: str) -> list[tuple[Kind, Object]]:
    """What names the object of that uid as its owner."""
    owned = []
    for kind in list(cluster.kinds):
        for found in cluster.store.every(kind):
            if any(owner["uid"] == uid for owner in found["metadata"].get("ownerReferences", [])):
                owned.append((kind, found))
    return owned
