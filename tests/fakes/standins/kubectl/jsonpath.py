"""kubectl's jsonpath: fields, indices, `[*]` and filters like `[?(@.name=='x')]`; ranges and `..` are refused."""

from __future__ import annotations

import json
import re

from fakes.standins.kubectl.session import Failed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STEP = re.compile(
    r"\.?\[\?\(@\.(?P<field>[\w.-]+)\s*(?P<operator>==|!=)\s*(?P<quote>[\"']?)(?P<value>.*?)(?P=quote)\)\]"
    r"|\[(?P<index>-?\d+|\*)\]"
    r"|\[['\"](?P<quoted>[^'\"]+)['\"]\]"
    r"|\.(?P<name>(?:[\w-]|\\.)+)"
)


def evaluate(template: str, value: Any) -> str:
    """The template with every `{…}` replaced by what it names; values of one `{…}` stand apart by a blank."""
    whole = template if "{" in template else f"{{{template if template.startswith('.') else '.' + template}}}"
    return re.sub(r"\{([^{}]*)\}", lambda match: piece(match[1].strip(), value), whole)


def piece(path: str, value: Any) -> str:
    if path[:1] in "\"'":
        return path[1:-1].encode().decode("unicode_escape")
    return " ".join(told(one) for one in found(path, value))


def found(path: str, value: Any) -> list[Any]:
    """Every value that a path such as `.items[*].metadata.name` names."""
    path = path.removeprefix("$").removeprefix("@")
    path = path if path.startswith((".", "[")) else f".{path}"
    values, position = [value], 0
    while position < len(path):
        step = STEP.match(path, position)
        if not step:
            if path == ".":
                break
            raise Failed(f"error: error parsing jsonpath {path}, the stand-in does not know it")
        values = [inner for one in values for inner in stepped(step, one)]
        position = step.end()
    return values


def stepped(step: re.Match[str], value: Any) -> list[Any]:
    if step["field"]:
        items = value if isinstance(value, list) else []
        return [one for one in items if (str(at(one, step["field"])) == step["value"]) == (step["operator"] == "==")]
    if step["index"] == "*":
        return list(value.values()) if isinstance(value, dict) else list(value or [])
    if step["index"]:
        items = value if isinstance(value, list) else []
        return items[int(step["index"]) :][:1]
    name = step["quoted"] or step["name"].replace("\\.", ".")
    return [value[name]] if isinstance(value, dict) and name in value else []


def at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def told(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), sort_keys=True) if value is not None else ""
