"""The three-way merge of `kubectl apply`: what was said before, what is said now, what the server made of it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Path = tuple[str, ...]

NAMED = ("containers", "initContainers", "volumes", "env", "imagePullSecrets", "ephemeralContainers")
BY_FIELD = {"volumeMounts": "mountPath", "conditions": "type", "ownerReferences": "uid", "hostAliases": "ip"}


def merge_key(path: Path) -> str:
    """The field that tells a list's items apart; empty where the list is replaced as a whole."""
    if path[-1] in NAMED:
        return "name"
    if path[-1] == "ports":
        inside = {"containers": "containerPort", "initContainers": "containerPort", "spec": "port"}
        return inside.get(next((part for part in path[-2::-1] if part), ""), "")
    return BY_FIELD.get(path[-1], "")


def merged(before: Any, now: Any, live: Any, own: bool, path: Path = ()) -> Any:
    """The live object with all that is said now, without what was said before and no longer is.

    `own`: one of Kubernetes' own kinds; lists in others are replaced as a whole.
    """
    if isinstance(now, dict):
        result = dict(live) if isinstance(live, dict) else {}
        earlier = before if isinstance(before, dict) else {}
        for key in earlier:
            if key not in now:
                result.pop(key, None)
        for key, value in now.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merged(earlier.get(key), value, result.get(key), own, (*path, key))
        return result
    key = merge_key(path) if own and isinstance(now, list) else ""
    return items(before or [], now, live, own, path, key) if key and isinstance(live, list) else now


def items(before: list[Any], now: list[Any], live: list[Any], own: bool, path: Path, key: str) -> list[Any]:
    """A list whose items are told apart by a field: ours in our order, then what others put there."""
    theirs = {one.get(key): one for one in live}
    earlier = {one.get(key): one for one in before}
    ours = [merged(earlier.get(one.get(key)), one, theirs.pop(one.get(key), None), own, path) for one in now]
    return ours + [one for name, one in theirs.items() if name not in earlier]


def difference(live: Any, wanted: Any) -> Any:
    """The JSON merge patch (RFC 7386) that makes `live` into `wanted`; {} where they are the same."""
    patch = {}
    for key in {**live, **wanted}:
        if key not in wanted:
            patch[key] = None
        elif key not in live:
            patch[key] = wanted[key]
        elif isinstance(live[key], dict) and isinstance(wanted[key], dict):
            inner = difference(live[key], wanted[key])
            if inner:
                patch[key] = inner
        elif live[key] != wanted[key]:
            patch[key] = wanted[key]
    return patch
