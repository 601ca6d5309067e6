"""gcloud's --flatten, --filter and --format, as far as they are used: json, json(…), value(…), none, yaml."""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options


class NoSuchFormat(Exception):
    """A format, filter or key that the stand-in does not know."""


def shown(value: Any, options: Options) -> str:
    """What goes to stdout; nothing for None, and nothing for text but itself."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"{value}\n"
    if options.has("flatten"):
        value = flattened(value if isinstance(value, list) else [value], options.one("flatten").split("."))
    if options.has("filter") and isinstance(value, list):
        value = [one for one in value if passes(one, options.one("filter"))]
    if options.has("limit"):
        value = value[: int(options.one("limit"))]
    return formatted(value, options.one("format", "yaml"))


def check(options: Options) -> None:
    """Raises NoSuchFormat before anything is done."""
    formatted({}, options.one("format", "yaml"))
    passes({}, options.one("filter"))


def formatted(value: Any, format: str) -> str:
    name, _, rest = format.partition("(")
    keys = [key.strip() for key in rest.removesuffix(")").split(",") if key.strip()]
    if any(not re.fullmatch(r"[\w.@/-]+(\.basename\(\))?", key) for key in keys):
        raise NoSuchFormat(f"--format={format}")
    items = value if isinstance(value, list) else [value]
    if name == "json":
        picked = [projected(one, keys) for one in items] if keys else items
        return json.dumps(picked if isinstance(value, list) else picked[0], indent=2, sort_keys=True) + "\n"
    if name in ("value", "get") and keys:
        return "".join("\t".join(told(at(one, key)) for key in keys) + "\n" for one in items)
    if name in ("none", "disable"):
        return ""
    if name == "yaml" and not keys:
        return "---\n".join(yaml(one) for one in items)
    raise NoSuchFormat(f"--format={format}")


def at(value: Any, key: str) -> Any:
    """The value at a dotted key; None where there is none. `.basename()` takes what stands after the last slash."""
    for part in key.removesuffix(".basename()").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value.rpartition("/")[2] if isinstance(value, str) and key.endswith(".basename()") else value


def told(value: Any) -> str:
    """A value as value(…) prints it."""
    if isinstance(value, list):
        return ";".join(told(one) for one in value)
    if isinstance(value, dict):
        return ";".join(f"{key}={told(one)}" for key, one in sorted(value.items()))
    return "" if value is None else str(value)


def projected(value: Any, keys: list[str]) -> dict[str, Any]:
    """Only the given keys, in their places."""
    picked: dict[str, Any] = {}
    for key in keys:
        if at(value, key) is None:
            continue
        *above, last = key.split(".")
        place = picked
        for part in above:
            place = place.setdefault(part, {})
        place[last] = at(value, key)
    return picked


def flattened(items: list[Any], parts: list[str]) -> list[Any]:
    """One item for each entry of the lists that `a[].b` names; the innermost need not bear brackets."""
    for depth in range(1, len(parts) + 1):
        path = [part.removesuffix("[]") for part in parts[:depth]]
        items = [one for item in items for one in spread(item, path)]
    return items


def spread(item: Any, path: list[str]) -> list[Any]:
    if not path:
        return item if isinstance(item, list) else [item]
    inner = item.get(path[0]) if isinstance(item, dict) else None
    if inner is None:
        return [item]
    return [{**item, path[0]: one} for one in spread(inner, path[1:])]


def passes(item: Any, text: str) -> bool:
    """Whether an item passes a filter: terms `key=value`, `key:value`, `key~pattern`, joined by AND or a blank."""
    if "(" in text or re.search(r"\bOR\b", text):
        raise NoSuchFormat(f"--filter={text}")
    return all(holds(item, term) for term in text.split() if term != "AND")


def holds(item: Any, term: str) -> bool:
    match = re.fullmatch(r"(-?)([\w./-]+?)(!=|=|:|~)(.*)", term)
    if not match:
        raise NoSuchFormat(f"--filter={term}")
    minus, key, operator, wanted = match.groups()
    value, wanted = at(item, key), wanted.strip("\"'")
    values = value if isinstance(value, list) else [value]
    return any(compared(one, operator, wanted) for one in values) != bool(minus)


def compared(value: Any, operator: str, wanted: str) -> bool:
    text = "" if value is None else str(value)
    if operator == "~":
        return value is not None and bool(re.search(wanted, text))
    if operator == "!=":
        return text != wanted
    if wanted == "*":
        return value is not None
    if value is None:
        return False
    return text == wanted if operator == "=" else text.lower().startswith(wanted.lower().rstrip("*"))


def yaml(value: Any, indent: str = "") -> str:
    """A value for people to read; nothing parses it."""
    if not isinstance(value, dict):
        return f"{indent}{json.dumps(value)}\n"
    lines = []
    for key, one in sorted(value.items()):
        if isinstance(one, dict) and one:
            lines.append(f"{indent}{key}:\n{yaml(one, indent + '  ')}")
        else:
            lines.append(f"{indent}{key}: {one if isinstance(one, str) else json.dumps(one)}\n")
    return "".join(lines)
