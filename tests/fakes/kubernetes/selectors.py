"""Label and field selectors, as lists, watches and deletions take them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Object = dict[str, Any]
TERM = re.compile(r"[^,(]+(?:\([^)]*\))?")
SETS = re.compile(r"(?P<key>\S+)\s+(?P<verb>in|notin)\s+\((?P<values>[^)]*)\)")


def matches(found: Object, labels: str, fields: str) -> bool:
    """Whether an object is one of those that a request's two selectors name."""
    carried = found.get("metadata", {}).get("labels") or {}
    return all(label_term(term.strip())(carried) for term in TERM.findall(labels)) and all(
        field_term(found, term) for term in filter(None, fields.split(","))
    )


def label_term(term: str) -> Callable[[Mapping[str, str]], bool]:
    if found := SETS.fullmatch(term):
        key, values = found["key"], [value.strip() for value in found["values"].split(",")]
        inside = found["verb"] == "in"
        return lambda labels: (labels.get(key) in values) == inside
    if "!=" in term:
        key, value = term.split("!=")
        return lambda labels: labels.get(key.strip()) != value.strip()
    if "=" in term:
        key, value = re.split("==?", term)
        return lambda labels: labels.get(key.strip()) == value.strip()
    if term.startswith("!"):
        return lambda labels: term[1:] not in labels
    return lambda labels: term in labels


def field_term(found: Object, term: str) -> bool:
    unequal = "!=" in term
    path, value = re.split("!=|==?", term)
    place: Any = found
    for part in path.split("."):
        place = place.get(part, "") if isinstance(place, dict) else ""
    return (str(place) == value) != unequal


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether an object's own selector (a Service's, a Deployment's) takes in what carries these labels."""
    wanted = (selector or {}).get("matchLabels", selector) or {}
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())
