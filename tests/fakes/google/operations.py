"""Long-running operations as the newer APIs have them: begun by one request, done after some questions."""

from __future__ import annotations

from typing import Any

from fakes.google.base import Json, found
from fakes.state import State


def polls(state: State) -> int:
    """How often an operation must be asked for before it is done; a test sets it: `state.of("delays")["polls"] = 2`."""
    return int(state.of("delays").get("polls", 0))


def start(state: State, name: str, **fields: Any) -> Json:
    """Begin an operation in the newer APIs' form and answer it."""
    state.of("operations")[name] = {"left": polls(state), "value": {"name": name, **fields}}
    return ask(state, name, counts=False)


def ask(state: State, name: str, counts: bool = True) -> Json:
    """An operation as it stands; each question brings it nearer to its end."""
    kept = found(state, "operations", name, f"Operation not found: {name}")
    kept["left"] = max(0, kept["left"] - counts)
    value: Json = dict(kept["value"])
    if kept["left"]:
        return {name: one for name, one in value.items() if name not in ("response", "error")} | {"done": False}
    return {**value, "done": True}
