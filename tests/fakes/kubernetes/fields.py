"""Whether an object's fields exist and have the right types: Kubernetes' schemas, and a CRD's own for its kinds."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import referencing

from fakes.kubernetes.kinds import Kind
from fakes.kubernetes.refusals import bad_request, invalid, strict

SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / "v1.32.0-local"


def check(kind: Kind, found: Mapping[str, Any]) -> None:
    """Refuse an object as the API server would: unknown fields first, then types and what is missing."""
    schema = schema_of(kind) if not kind.custom else kind.schema
    if schema is None:
        return
    if unknown := list(unknown_fields(schema, found, "")):
        raise strict(kind, unknown)
    for error in validator(kind, schema).iter_errors(found):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
        if error.validator == "required":
            missing = error.message.split("'")[1]
            raise invalid(kind, found["metadata"]["name"], f"{path}.{missing}".lstrip("."), "Required value")
        if kind.custom:
            raise invalid(kind, found["metadata"]["name"], path, f"Invalid value: {json.dumps(error.instance)}")
        handled = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
        raise bad_request(f"{handled}: json: cannot unmarshal {json.dumps(error.instance)[:60]} into {path}")


@functools.cache
def definitions() -> Any:
    return json.loads((SCHEMAS / "_definitions.json").read_text())


@functools.cache
def schema_of(kind: Kind) -> Any:
    """The schema of one of Kubernetes' own kinds."""
    group = kind.group.split(".")[0]
    file = SCHEMAS / "-".join(filter(None, [kind.kind.lower(), group, f"{kind.version}.json"]))
    return json.loads(file.read_text())


@functools.cache
def registry() -> Any:
    return referencing.Resource.from_contents(definitions()) @ referencing.Registry()


def validator(kind: Kind, schema: Any) -> Any:
    """A CRD's schema says `x-kubernetes-int-or-string` where JSON schema has nothing: such fields go unchecked."""
    return jsonschema.Draft202012Validator(schema, registry=registry() if not kind.custom else referencing.Registry())


def unknown_fields(schema: Any, value: Any, path: str) -> Iterator[str]:
    """The places in an object that its schema does not know."""
    while "$ref" in schema:
        schema = definitions()["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from unknown_fields(schema.get("items", {}), item, f"{path}[{number}]")
    if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    known, others = schema.get("properties"), schema.get("additionalProperties", {})
    for key, inner in value.items():
        if path == "" and key in ("apiVersion", "kind", "metadata") and key not in (known or {}):
            continue
        if known and key in known:
            yield from unknown_fields(known[key], inner, f"{path}.{key}".lstrip("."))
        elif known and not others:
            yield f"{path}.{key}".lstrip(".")
        elif isinstance(others, dict):
            yield from unknown_fields(others, inner, f"{path}.{key}".lstrip("."))
