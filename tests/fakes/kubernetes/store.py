"""The fake cluster's objects: stored by resource, namespace and name, with versions and a history to watch."""

from __future__ import annotations

import copy
import datetime
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fakes.kubernetes.kinds import Kind

Object = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One thing that happened to one object."""

    version: int
    what: str
    """ADDED, MODIFIED or DELETED."""
    kind: Kind
    found: Object


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def key(kind: Kind, namespace: str, name: str) -> str:
    return f"{kind.resource}/{namespace}/{name}" if kind.namespaced else f"{kind.resource}/{name}"


def place(found: Object) -> tuple[str, str]:
    """An object's namespace and name."""
    return found["metadata"].get("namespace", ""), found["metadata"]["name"]


class Store:
    """Objects in a dictionary that others may read; changed only through here."""

    def __init__(self, objects: dict[str, Object], lock: threading.RLock) -> None:
        self.objects, self.changed = objects, threading.Condition(lock)
        self.version = 1000
        self.history: list[Change] = []
        self.listeners: list[Callable[[Change], None]] = []

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """A copy of the object, or None."""
        return copy.deepcopy(self.objects.get(key(kind, namespace, name)))

    def every(self, kind: Kind, namespace: str = "") -> Iterator[Object]:
        """Copies of a kind's objects, in one namespace or in all."""
        prefix = f"{kind.resource}/{namespace}/" if namespace and kind.namespaced else f"{kind.resource}/"
        for name in sorted(name for name in self.objects if name.startswith(prefix)):
            yield copy.deepcopy(self.objects[name])

    def add(self, kind: Kind, found: Object) -> Object:
        """Store a new object with what the server gives it: an identity, a time and a version."""
        made = copy.deepcopy(found)
        made["apiVersion"], made["kind"] = kind.api_version, kind.kind
        metadata = made["metadata"]
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
        if "spec" in made:
            metadata["generation"] = 1
        return self.note("ADDED", kind, made)

    def put(self, kind: Kind, found: Object) -> Object:
        """Store an object anew; one that is the same as before keeps its version and nobody hears of it."""
        before = self.objects[key(kind, *place(found))]
        if before == found:
            return found
        made = copy.deepcopy(found)
        if before.get("spec") != made.get("spec"):
            made["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
        return self.note("MODIFIED", kind, made)

    def remove(self, kind: Kind, found: Object) -> None:
        if key(kind, *place(found)) in self.objects:
            self.note("DELETED", kind, copy.deepcopy(found))

    def note(self, what: str, kind: Kind, found: Object) -> Object:
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        if what == "DELETED":
            self.objects.pop(key(kind, *place(found)))
        else:
            self.objects[key(kind, *place(found))] = found
        change = Change(self.version, what, kind, copy.deepcopy(found))
        self.history.append(change)
        self.changed.notify_all()
        for listener in self.listeners:
            listener(change)
        return copy.deepcopy(found)
