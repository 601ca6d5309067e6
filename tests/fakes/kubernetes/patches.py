"""How a change meets an object: JSON merge patch, JSON patch, strategic merge patch and server-side apply."""

from __future__ import annotations

import copy
from typing import Any

NAMED = ("containers", "initContainers", "volumes", "env", "imagePullSecrets", "ephemeralContainers")
"""Lists in Kubernetes' own kinds whose items are told apart by their name."""

BY_FIELD = {"volumeMounts": "mountPath", "conditions": "type", "ownerReferences": "uid", "hostAliases": "ip"}


def merge_key(path: tuple[str, ...]) -> str | None:
    """The field that tells a list's items apart, or None where the list is replaced as a whole."""
    if path[-1] in NAMED:
        return "name"
    if path[-1] == "ports" and len(path) > 1:
        return {"containers": "containerPort", "initContainers": "containerPort"}.get(
            path[-2], "port" if path == ("spec", "ports") else None
        )
    return BY_FIELD.get(path[-1])


def json_merge(current: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(current) if isinstance(current, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = json_merge(merged.get(key), value)
    return merged


def json_patch(current: Any, operations: list[dict[str, Any]]) -> Any:
    """RFC 6902, as far as add, replace and remove go."""
    result = copy.deepcopy(current)
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place = result
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        change(place, last, operation)
    return result


def change(place: Any, last: str, operation: dict[str, Any]) -> None:
    action = operation["op"]
    if action not in ("add", "replace", "remove"):
        raise ValueError(f"JSON patch operation {action}")
    if isinstance(place, dict):
        if action == "remove":
            del place[last]
        else:
            place[last] = operation["value"]
    elif action == "add":
        place.insert(len(place) if last == "-" else int(last), operation["value"])
    elif action == "replace":
        place[int(last)] = operation["value"]
    else:
        del place[int(last)]


def strategic(current: Any, patch: dict[str, Any], path: tuple[str, ...] = ()) -> Any:
    """A patch whose lists are merged item by item, with the `$` directives that kubectl writes."""
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    merged = dict(current) if isinstance(current, dict) else {}
    if "$retainKeys" in patch:
        merged = {key: value for key, value in merged.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.split("/", 1)[1]
            merged[field] = [item for item in merged.get(field, []) if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = strategic(merged.get(key), value, (*path, key))
        elif isinstance(value, list):
            order = patch.get(f"$setElementOrder/{key}")
            merged[key] = strategic_list(merged.get(key) or [], value, order, (*path, key))
        else:
            merged[key] = value
    return ordered_only(merged, patch, path)


def ordered_only(merged: dict[str, Any], patch: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Lists that a patch only puts into another order."""
    for key in (key for key in patch if key.startswith("$setElementOrder/")):
        field = key.split("/", 1)[1]
        if field not in patch and field in merged:
            merged[field] = in_order(merged[field], patch[key], merge_key((*path, field)))
    return merged


def strategic_list(current: list[Any], patch: list[Any], order: Any, path: tuple[str, ...]) -> list[Any]:
    key = merge_key(path)
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    if path[-1] == "finalizers":
        return [*current, *(item for item in patch if item not in current)]
    if key is None:
        return copy.deepcopy(patch)
    merged = {item.get(key): item for item in current}
    for item in patch:
        if item.get("$patch") == "delete":
            merged.pop(item.get(key), None)
        else:
            merged[item.get(key)] = strategic(merged.get(item.get(key)), item, path)
    return in_order(list(merged.values()), order, key)


def in_order(items: list[Any], order: Any, key: str | None) -> list[Any]:
    if not order or key is None:
        return items
    wanted = [one.get(key) if isinstance(one, dict) else one for one in order]
    return sorted(items, key=lambda item: wanted.index(item.get(key)) if item.get(key) in wanted else len(wanted))


def applied(current: Any, before: Any, now: Any, own: bool, path: tuple[str, ...] = ()) -> Any:
    """Server-side apply: what its manager says `now`, without what it said `before` and says no more.

    `own`: one of Kubernetes' own kinds, whose lists are maps; a custom kind's are replaced as a whole.
    """
    if isinstance(now, dict):
        merged = dict(current) if isinstance(current, dict) else {}
        earlier = before if isinstance(before, dict) else {}
        for key in earlier.keys() - now.keys():
            merged.pop(key, None)
        for key, value in now.items():
            merged[key] = applied(merged.get(key), earlier.get(key), value, own, (*path, key))
        return merged
    key = merge_key(path) if own and isinstance(now, list) else None
    if key is None or not isinstance(current, list):
        return copy.deepcopy(now)
    theirs = {item.get(key): item for item in current}
    earlier_items = {item.get(key): item for item in before or []}
    items = [
        applied(theirs.pop(item.get(key), None), earlier_items.get(item.get(key)), item, own, path) for item in now
    ]
    return items + [item for name, item in theirs.items() if name not in earlier_items]
