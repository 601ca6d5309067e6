"""Who wrote which fields of an object: `metadata.managedFields`, by which `clean` knows whose an object is."""

from __future__ import annotations

from typing import Any

from fakes.kubernetes.store import now
from fakes.state import Request

Object = dict[str, Any]


def noted(request: Request, found: Object, said: Any) -> Object:
    """The object with its writer noted; who applies replaces what it noted before, who updates adds to it."""
    applies = "apply-patch" in request.headers.get("content-type", "")
    agent = request.headers.get("user-agent", "unknown").split("/")[0]
    manager, operation = request.one("fieldManager", agent), "Apply" if applies else "Update"
    fields = owned(said) if isinstance(said, dict) else {}
    kept = []
    for entry in found["metadata"].get("managedFields", []):
        if (entry["manager"], entry["operation"]) != (manager, operation):
            kept.append(entry)
        elif not applies:
            fields = merged(entry["fieldsV1"], fields)
    made = {"manager": manager, "operation": operation, "apiVersion": found["apiVersion"], "time": now(),
            "fieldsType": "FieldsV1", "fieldsV1": fields}  # fmt: skip
    return {**found, "metadata": {**found["metadata"], "managedFields": [*kept, made]}}


def owned(said: Object, top: bool = True) -> Object:
    """The fields that an object or a patch names; lists count as a whole."""
    skipped = ("apiVersion", "kind", "status") if top else ()
    return {
        f"f:{name}": owned(value, top=False) if isinstance(value, dict) else {}
        for name, value in said.items()
        if name not in skipped and not name.startswith("$") and name not in UNOWNED
    }


UNOWNED = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")


def merged(first: Object, second: Object) -> Object:
    both = {name: merged(first[name], second[name]) for name in first.keys() & second.keys()}
    return {**first, **second, **both}
