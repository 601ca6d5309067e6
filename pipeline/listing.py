"""What `invoke config` prints: every setting with its type and origin, or where two environments differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from invoke.context import Context

from pipeline.config import KNOWN, Loaded, chosen_of, load, loaded_of
from pipeline.errors import PipelineError
from pipeline.explain import kind_of
from pipeline.settings import Settings
from pipeline.spaces import Space, written
from pipeline.yamlfile import plain

Row = tuple[str, ...]

WIDEST = 40
"""Columns are aligned up to this width; a longer value only moves its own line."""


def lines(c: Context, component: str = "", diff: str = "") -> list[str]:
    """What `invoke config [component]`, `config --diff A B`, or `config --diff B` against `--env` prints."""
    if not diff:
        loaded = loaded_of(c)
        return [f"environment {loaded.settings.environment}", *table(described(loaded, component))]
    environment, changes = chosen_of(c)
    second_given = component and component.replace("-", "_") not in components()
    first, second = (diff, component) if second_given else (environment, diff)
    before, after = load(first, changes), load(second, changes)
    rows = difference(before, after, "" if second_given else component)
    return table(rows) if len(rows) > 1 else [f"{first} and {second} have the same settings"]


def components() -> list[str]:
    """The groups of settings: training, serving and so on."""
    return list(dict.fromkeys(key.partition(".")[0] for key in KNOWN if "." in key))


def described(loaded: Loaded, component: str = "") -> list[Row]:
    """A heading, then setting, value, type and origin, of one component or of all."""
    rows = [
        (key, shown(value_of(loaded.settings, key)), kind_of(KNOWN[key]), loaded.origins[key])
        for key in keys_of(component)
    ]
    return [("setting", "value", "type", "from"), *rows]


def difference(first: Loaded, second: Loaded, component: str = "") -> list[Row]:
    """A heading, then the settings that differ, with both values and both origins."""
    rows = [
        (key, one, first.origins[key], other, second.origins[key])
        for key in keys_of(component)
        if (one := shown(value_of(first.settings, key))) != (other := shown(value_of(second.settings, key)))
    ]
    return [("setting", first.settings.environment, "from", second.settings.environment, "from"), *rows]


def given_besides(settings: Settings) -> list[str]:
    """What `--set` has to give for these settings, `key=value` each, where they differ from the environment's files."""
    files = load(settings.environment).settings
    return [
        f"{key}={shown(value_of(settings, key))}" for key in KNOWN if value_of(settings, key) != value_of(files, key)
    ]


def keys_of(component: str) -> list[str]:
    """A component's settings by dotted key, or all; PipelineError lists the components if it is none."""
    component = component.replace("-", "_")
    if component and component not in components():
        close = get_close_matches(component, components(), n=1)
        guess = f'. Did you mean "{close[0]}"?' if close else ""
        raise PipelineError(f'unknown component "{component}": known are {", ".join(components())}{guess}')
    return [key for key in KNOWN if not component or key.startswith(f"{component}.")]


def value_of(settings: Settings, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part)
    return value


def shown(value: Any) -> str:
    """A value as a settings file would have it."""
    if isinstance(value, tuple) and any(isinstance(one, Space) for one in value):
        return f"{{{', '.join(map(str, value))}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, float):
        return written(value)
    if isinstance(value, str):
        return value if _reads_back(value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _reads_back(text: str) -> bool:
    try:
        return plain(text) == text
    except ValueError:
        return False


def table(rows: Sequence[Row]) -> list[str]:
    """Rows as lines with aligned columns."""
    widths = [max(len(cell) for cell in column if len(cell) <= WIDEST) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
