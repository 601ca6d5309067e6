"""Objects in Protocol Buffers, as `kubectl create` sends them: the few kinds that it is used for here."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from fakes.state import Unknown

PROTOBUF = "application/vnd.kubernetes.protobuf"

METADATA = {1: "name", 2: "generateName", 3: "namespace", 11: "labels", 12: "annotations"}
MAPS = ("labels", "annotations", "data", "binaryData", "stringData")

FIELDS = {
    "Secret": {1: "metadata", 2: "data", 3: "type", 4: "stringData"},
    "ConfigMap": {1: "metadata", 2: "data", 3: "binaryData"},
    "Namespace": {1: "metadata", 2: "spec", 3: "status"},
    "ServiceAccount": {1: "metadata"},
}
"""Field numbers, from the .proto files of k8s.io/api."""


def decoded(body: bytes) -> dict[str, Any]:
    """The object in a body that begins with Kubernetes' mark."""
    if not body.startswith(b"k8s\x00"):
        raise Unknown("Protocol Buffers without Kubernetes' mark")
    envelope = dict(entries(body[4:]))
    kind = dict(entries(envelope[1]))[2].decode()
    if kind not in FIELDS:
        raise Unknown(f"a {kind} in Protocol Buffers")
    made: dict[str, Any] = {"apiVersion": "v1", "kind": kind}
    for number, value in entries(envelope[2]):
        name = FIELDS[kind].get(number)
        if name == "metadata":
            made["metadata"] = metadata(value)
        elif name == "type":
            made["type"] = value.decode()
        elif name in MAPS:
            key, content = pair(value)
            secret = kind == "Secret" and name == "data"
            text = base64.b64encode(content) if secret or name == "binaryData" else content
            made.setdefault(name, {})[key] = text.decode()
    return made


def metadata(content: bytes) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for number, value in entries(content):
        name = METADATA.get(number, "")
        if name in MAPS:
            key, text = pair(value)
            made.setdefault(name, {})[key] = text.decode()
        elif name and value:
            made[name] = value.decode()
    return made


def pair(content: bytes) -> tuple[str, bytes]:
    """An entry of a map."""
    found = dict(entries(content))
    return found.get(1, b"").decode(), found.get(2, b"")


def entries(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Field numbers and contents of a message; numbers are passed over, for no field read here is one."""
    place = 0
    while place < len(content):
        tag, place = varint(content, place)
        if tag & 7 == 0:
            _, place = varint(content, place)
        elif tag & 7 == 2:
            size, place = varint(content, place)
            yield tag >> 3, content[place : place + size]
            place += size
        else:
            raise Unknown(f"wire type {tag & 7} in Protocol Buffers")


def varint(content: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 127) << shift
        shift, place = shift + 7, place + 1
        if byte < 128:
            return value, place
