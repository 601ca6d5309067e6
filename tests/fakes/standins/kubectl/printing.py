"""What kubectl prints of objects: JSON, names, jsonpath, YAML, or a table for people."""

from __future__ import annotations

import json

from fakes.standins.kubectl.session import Failed, Session, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fakes.standins.arguments import Options

    Json = dict[str, Any]


def printed(session: Session, options: Options, found: Any, nothing: bool = False) -> None:
    """Print an object or a list of them; `nothing`: say so where a list is empty."""
    output = options.one("output")
    items = found if isinstance(found, list) else [found]
    for one in items:
        if not options.has("show-managed-fields"):
            one["metadata"].pop("managedFields", None)
    if output in ("json", "yaml") or output.startswith("jsonpath"):
        print(formatted(output, as_list(items) if isinstance(found, list) else found))
    elif not items and nothing:
        complain(empty(session, options))
    elif output == "name":
        print("\n".join(shown(session, one) for one in items))
    elif output in ("", "wide"):
        table(items, options)
    else:
        raise Failed(f'error: unable to match a printer suitable for the output format "{output}"')


def empty(session: Session, options: Options) -> str:
    if options.has("all-namespaces"):
        return "No resources found"
    return f"No resources found in {session.namespace} namespace."


def as_list(items: list[Json]) -> Json:
    return {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}


def formatted(output: str, value: Any) -> str:
    if output == "json":
        return json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False)
    if output == "yaml":
        from fakes.standins.documents import dump

        return dump(value).rstrip("\n")
    from fakes.standins.kubectl.jsonpath import evaluate

    kind, _, template = output.partition("=")
    if kind != "jsonpath":
        raise Failed(f'error: unable to match a printer suitable for the output format "{kind}"')
    return evaluate(template, value)


def shown(session: Session, one: Json) -> str:
    kind = session.kind_of(one)
    return kind.shown(one["metadata"]["name"]) if kind else f"{one['kind'].lower()}/{one['metadata']['name']}"


def table(items: list[Json], options: Options) -> None:
    """Names and ages: nothing parses it."""
    if not options.has("no-headers"):
        print("NAME".ljust(40), "CREATED")
    for one in items:
        print(one["metadata"]["name"].ljust(40), one["metadata"].get("creationTimestamp", ""))
