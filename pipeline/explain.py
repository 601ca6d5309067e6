"""Says in one sentence what is wrong with a setting: unknown, missing, of another type, out of its limits."""

from __future__ import annotations

import types
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import AfterValidator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pipeline import yamlfile
from pipeline.names import quoted, text
from pipeline.settings import Section, Settings
from pipeline.spaces import Space

SPACES = tuple[Space, ...]
"""The type of what a search draws from, which a file gives as a mapping."""


def settings_by_key(model: type[Section] = Settings, above: str = "") -> dict[str, FieldInfo]:
    """Every setting that a file may give, by its dotted key, in order: `training.steps` and so on."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        if inner := section_of(field):
            found |= settings_by_key(inner, f"{above}{name}.")
        elif above or name != "environment":  # the file's name says the environment
            found[f"{above}{name}"] = field
    return found


def section_of(field: FieldInfo) -> type[Section] | None:
    """The group of settings that a field holds, if it holds one."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def unknown(key: str, siblings: Iterable[str], known: Iterable[str]) -> str:
    """What to say about a key that is no setting: the sibling or other setting that was probably meant."""
    known = list(known)
    last = key.rpartition(".")[2]
    close = (
        get_close_matches(last, list(siblings), n=1)
        or [other for other in known if other.rpartition(".")[2] == last][:1]
        or get_close_matches(key, known, n=1)
    )
    return f'unknown setting. Did you mean "{close[0]}"?' if close else "unknown setting"


def problem(error: ErrorDetails, field: FieldInfo, written: str) -> str:
    """What pydantic found wrong with a value, in our words; `written` is the value as the file has it."""
    value, kind = error["input"], error["type"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "missing":
        return f"missing; base.yaml gives every setting. Wanted: {kind_of(field)}"
    shown = quoted(value) if isinstance(value, str) else written or str(value)
    if kind == "literal_error" and isinstance(value, str):
        close = get_close_matches(value, choices(field.annotation), n=1, cutoff=0.5)
        guess = f'. Did you mean "{close[0]}"?' if close else ""
        return f"{shown} is not one of {', '.join(choices(field.annotation))}{guess}"
    if kind.startswith(("greater_than", "less_than")):
        return f"{shown} is out of range; wanted: {kind_of(field)}"
    return f"{_found(value, shown)}; wanted: {kind_of(field)}{_repair(error, written)}"


def kind_of(field: FieldInfo) -> str:
    """What a setting holds, in words: `whole number from 1`, `gcs or folder`, `text or null`."""
    return _kind(field.annotation, field.metadata)


def typed(written: str, field: FieldInfo) -> Any:
    """The value that `--set key=written` means; ValueError where YAML readers would differ on it."""
    parts = _parts(field.annotation)
    if field.annotation == SPACES:
        return yamlfile.parse(f"parameters: {written}".encode(), "--set").value["parameters"]
    if written == "null" and type(None) in parts:
        return None
    if any(get_origin(part) is tuple for part in parts):
        items = written.removeprefix("[").removesuffix("]").split(",")
        return tuple(_unquoted(item.strip()) for item in items if item.strip())
    if any(part is str or get_origin(part) is Literal for part in parts):
        return _unquoted(written)
    return yamlfile.plain(written)


def choices(annotation: Any) -> list[str]:
    """The texts that a Literal allows; none for other types."""
    return [str(choice) for choice in get_args(annotation)] if get_origin(annotation) is Literal else []


def _parts(annotation: Any) -> list[Any]:
    """The types a value may have, out of their unions and annotations."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _parts(inner[0])
    if origin in (Union, types.UnionType):
        return [part for one in inner for part in _parts(one)]
    return [annotation]


def _unquoted(written: str) -> str:
    quotes = len(written) >= 2 and written[0] == written[-1] and written[0] in "\"'"
    return written[1:-1] if quotes else written


def _kind(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation == SPACES:
        return "mapping of settings of the training to {min, max, scale} or {values}"
    if origin is Annotated:
        return _kind(inner[0], inner[1:])
    if origin is tuple:
        return f"list of {_kind(inner[0])}"
    if origin is Literal:
        return " or ".join(filter(None, [", ".join(map(str, inner[:-1])), str(inner[-1])]))
    if origin in (Union, types.UnionType):
        return " or ".join("null" if part is type(None) else _kind(part, metadata) for part in inner)
    if annotation is bool:
        return "true or false"
    return {int: "whole number", float: "number", str: "text"}[annotation] + _limits(metadata)


def _limits(metadata: Iterable[Any]) -> str:
    words = []
    for item in metadata:
        match item:
            case Ge(ge=limit):
                words.append(f"from {limit}")
            case Gt(gt=limit):
                words.append(f"above {limit}")
            case Le(le=limit):
                words.append(f"to {limit}")
            case Lt(lt=limit):
                words.append(f"below {limit}")
            case AfterValidator(func=rule) if rule is not text:
                words.append(f"({rule.__name__.replace('_', ' ')})")
    return "".join(f" {word}" for word in words)


def _found(value: Any, shown: str) -> str:
    if value is None:
        return "null is no value"
    if isinstance(value, dict):
        return "is a group of settings"
    if isinstance(value, list | tuple):
        return "is a list"
    kinds = {str: "text", bool: "a truth value", int: "a number", float: "a number with a fraction"}
    return f"{shown} is {kinds[type(value)]}"


def _repair(error: ErrorDetails, written: str) -> str:
    """What to write instead, where the type wanted makes that plain."""
    value = error["input"]
    if error["type"] == "string_type" and isinstance(value, bool | int | float):
        return f'; write "{written}"'
    if isinstance(value, str) and error["type"] in ("int_type", "float_type", "bool_type"):
        wanted: tuple[type, ...] = {"int_type": (int,), "bool_type": (bool,)}.get(error["type"], (int, float))
        try:
            meant = yamlfile.plain(value)
        except ValueError:
            return ""
        return f"; write {value}" if type(meant) in wanted else ""
    if error["type"] == "tuple_type" and isinstance(value, str):
        return f"; write [{value}]"
    return ""
