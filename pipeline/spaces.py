"""What a search draws from: ranges and choices for settings of the training, read strictly, drawn by number."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

Value = int | float | str

TUNABLE = ("learning_rate", "batch_size", "optimizer", "schedule", "augment_pixels", "model", "precision")
"""The settings of the training that a search may vary; `tuning.steps` and the seed are the same for all trials."""

SCALES = ("linear", "log")
EXAMPLE = "learning_rate: {min: 0.001, max: 0.1, scale: log}"


class Wrong(ValueError):
    """What is wrong with a search space, and the place below the setting where it stands."""

    def __init__(self, at: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True)
class Space:
    """What one setting may be: from `low` to `high`, both included, or one of `values`."""

    name: str
    low: int | float = 0
    high: int | float = 0
    scale: str = "linear"
    values: tuple[Value, ...] = ()

    def __str__(self) -> str:
        if self.values:
            return f"{self.name}: {{values: [{', '.join(map(written, self.values))}]}}"
        return f"{self.name}: {{min: {written(self.low)}, max: {written(self.high)}, scale: {self.scale}}}"

    def drawn(self, seed: int, number: int) -> Value:
        """Trial `number`'s value; other parameters and other trials have no say in it. Floats have 4 digits."""
        source = random.Random(f"{seed}/{number}/{self.name}")  # noqa: S311  # a search, not a secret
        if self.values:
            return source.choice(self.values)
        between = source.random()
        if self.scale == "log":
            value = math.exp(math.log(self.low) + between * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + between * (self.high - self.low)
        if isinstance(self.low, int):
            return min(int(self.high), max(int(self.low), round(value)))
        return min(self.high, max(self.low, rounded(value)))

    @property
    def parameter_type(self) -> str:
        """Katib's word for the kind of values."""
        if self.values:
            return "categorical" if isinstance(self.values[0], str) else "discrete"
        return "int" if isinstance(self.low, int) else "double"

    @property
    def feasible_space(self) -> dict[str, Any]:
        """Katib's form of the range or the values: all of it text."""
        if self.values:
            return {"list": [written(value) for value in self.values]}
        distribution = "logUniform" if self.scale == "log" else "uniform"
        return {"min": written(self.low), "max": written(self.high), "distribution": distribution}


def rounded(value: float) -> float:
    """To four digits: more say nothing, and the settings' files do not take the 17 that Katib draws."""
    return float(f"{value:.4g}")


def written(value: Value) -> str:
    """A value as a settings file or `--set` takes it: numbers in plain digits, never 1e-05."""
    return f"{Decimal(repr(value)):f}" if isinstance(value, float) else str(value)


def read(value: Any, model: type[BaseModel]) -> tuple[Space, ...]:
    """The spaces in a mapping from settings of `model` to their ranges or values; Wrong where one is none."""
    if not isinstance(value, dict) or not value:
        raise Wrong((), f"wanted: at least one setting of the training with its range, such as {EXAMPLE}")
    return tuple(space(name, given, model) for name, given in value.items())


def space(name: str, given: Any, model: type[BaseModel]) -> Space:
    """One setting's space."""
    if name not in TUNABLE:
        close = get_close_matches(name, TUNABLE, n=1)
        raise Wrong(
            (name,),
            f'unknown setting. Did you mean "{close[0]}"?' if close else f"cannot be tuned; {', '.join(TUNABLE)} can",
        )
    numeric = model.model_fields[name].annotation in (int, float)
    keys = ("min", "max", "scale", "values") if numeric else ("values",)
    if not isinstance(given, dict):
        raise Wrong((name,), f"wanted: {{values: […]}}{', or {min: …, max: …, scale: log}' if numeric else ''}")
    for key in given:
        if key not in keys:
            raise Wrong((name, key), f"not known here; {name} takes {', '.join(keys)}")
    if "values" in given:
        return Space(name, values=choices(name, given, model))
    return within(name, given, model)


def choices(name: str, given: dict[str, Any], model: type[BaseModel]) -> tuple[Value, ...]:
    """The values to choose from: two or more, each once, each one that the setting takes."""
    others = [key for key in given if key != "values"]
    if others:
        raise Wrong((name, others[0]), "stands beside values; write one or the other")
    values = given["values"]
    if not isinstance(values, list) or len(values) < 2:
        raise Wrong((name, "values"), "wanted: a list of two or more")
    checked = [fitting(name, value, (name, "values", at), model) for at, value in enumerate(values)]
    twice = next((at for at, value in enumerate(checked) if value in checked[:at]), None)
    if twice is not None:
        raise Wrong((name, "values", twice), f"{written(checked[twice])} is there twice; keep one")
    return tuple(checked)


def within(name: str, given: dict[str, Any], model: type[BaseModel]) -> Space:
    """A range; its ends are values that the setting takes."""
    for key in ("min", "max"):
        if key not in given:
            raise Wrong((name,), f"{key} is missing; a range has min and max")
    low, high = (fitting(name, given[key], (name, key), model) for key in ("min", "max"))
    scale = given.get("scale", "linear")
    if scale not in SCALES:
        raise Wrong((name, "scale"), f"wanted: {' or '.join(SCALES)}")
    assert not isinstance(low, str) and not isinstance(high, str)  # noqa: S101  # the setting is a number
    if low >= high:
        raise Wrong((name, "max"), f"{written(high)} is not above min {written(low)}")
    if scale == "log" and low <= 0:
        raise Wrong((name, "min"), f"{written(low)} has no logarithm; write a number above 0, or scale: linear")
    return Space(name, low, high, scale)


def fitting(name: str, value: Any, at: tuple[str | int, ...], model: type[BaseModel]) -> Value:
    """The value as the setting takes it; Wrong where it does not."""
    try:
        taken: Value = adapter(model, name).validate_python(value)
    except ValidationError as error:
        what = error.errors()[0]["msg"].replace("Input should", "it should")
        raise Wrong(at, f"{value} does not fit training.{name}: {what}") from None
    return taken


@lru_cache
def adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    """Checks values for one field of a model as the model itself would."""
    field = model.model_fields[name]
    kind: Any = Annotated[field.annotation, field]
    return TypeAdapter(kind, config=ConfigDict(strict=True))
