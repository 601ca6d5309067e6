"""Runs the LiteRT copy that the trainer puts beside a SavedModel: 0.03 ms an image, and no TensorFlow in memory."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from serving.errors import Code, ServingError, invalid
from serving.signatures import Signature
from serving.trial import served
from serving.versions import LITERT_ABOUT, LITERT_MODEL

# Rows a call: more of them do not fit the processor's cache, and each then takes twice as long (measured: `fast`).
_ROWS = 32

# Seconds up to which a request is answered where it comes in: a thread's turn takes about 0.1 ms, and while one
# request is computed all others wait.
_QUICK = 1e-3


class UnfitError(Exception):
    """A LiteRT copy that cannot stand for its SavedModel; the message says why."""


@dataclass(frozen=True)
class About:
    """What the exporter says of its copy: the signatures that it stands for, their one input, what a row may look like.

    `refusal` is what the SavedModel says of rows of another form, before the shape.
    """

    signatures: tuple[str, ...]
    input: str
    forms: tuple[tuple[int, ...], ...]
    refusal: str


class LiteRTModel:
    """The copy of one version; a thread that asks takes an interpreter of its own for as long as it computes."""

    joins = False  # a call costs nothing beside its rows

    def __init__(self, folder: Path, signatures: Mapping[str, Signature]) -> None:
        """Read the copy and measure it; UnfitError where it cannot stand for each signature that is served."""
        self.signatures = signatures
        self._idle: deque[_Runner] = deque()
        try:
            self.about, self._model = _about(folder / LITERT_ABOUT), (folder / LITERT_MODEL).read_bytes()
            self._idle.append(_Runner(self._model))
        except (OSError, ValueError, RuntimeError) as error:  # what the interpreter raises on what is no model
            raise UnfitError(str(error)) from error
        for name in served(signatures):
            self._refuse_unfit(name)
        try:
            self._row_seconds = min(self._seconds() for _ in range(5))
        except ServingError as error:
            raise UnfitError(error.message) from error

    def quick(self, rows: int) -> bool:
        """Whether so many rows are computed within a millisecond."""
        return rows * self._row_seconds <= _QUICK

    def predict(
        self, inputs: Mapping[str, np.ndarray], signature: str, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """The named outputs; ServingError INVALID_ARGUMENT, as the SavedModel words it, for rows of another form."""
        rows = inputs[self.about.input]
        if rows.shape[1:] not in self.about.forms or not rows.size:
            raise invalid(f"assertion failed: [{self.about.refusal}] [{' '.join(map(str, rows.shape))}]")
        rows = rows.reshape(-1, *self.about.forms[0])
        runner = self._runner()
        try:
            parts = [runner.run(rows[start : start + _ROWS]) for start in range(0, len(rows), _ROWS)]
        except RuntimeError as error:
            raise ServingError(Code.INTERNAL, str(error)) from error
        finally:
            self._idle.append(runner)
        return {name: parts[0][name] if len(parts) == 1 else _joined(parts, name) for name in outputs}

    def close(self) -> None:
        """Give the memory back."""
        self._idle.clear()

    def _seconds(self) -> float:
        """How long one row takes now."""
        started = time.perf_counter()
        self.predict({self.about.input: np.zeros((1, *self.about.forms[0]), np.float32)}, "", [])
        return time.perf_counter() - started

    def _runner(self) -> _Runner:
        try:
            return self._idle.pop()
        except IndexError:
            return _Runner(self._model)

    def _refuse_unfit(self, name: str) -> None:
        if name not in self.about.signatures:
            raise UnfitError(f'it does not stand for signature "{name}"')
        signature, runner = self.signatures[name], self._idle[0]
        if set(signature.inputs) != {self.about.input} or set(signature.outputs) != runner.outputs:
            raise UnfitError(f'its inputs or outputs are not those of signature "{name}"')


class _Runner:
    """One interpreter, which one thread uses at a time; it keeps the shape of the last call."""

    def __init__(self, model: bytes) -> None:
        self._interpreter = Interpreter(model_content=model, num_threads=1)
        ((_, io),) = self._interpreter.get_signature_list().items()
        runner = self._interpreter.get_signature_runner()
        (self._input,) = (one["index"] for one in runner.get_input_details().values())
        self._outputs = {name: one["index"] for name, one in runner.get_output_details().items()}
        self.outputs = set(io["outputs"])
        self._rows = 0

    def run(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        if len(rows) != self._rows:
            self._interpreter.resize_tensor_input(self._input, rows.shape)
            self._interpreter.allocate_tensors()
            self._rows = len(rows)
        self._interpreter.set_tensor(self._input, rows)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}


def _joined(parts: list[dict[str, np.ndarray]], name: str) -> np.ndarray:
    return np.concatenate([part[name] for part in parts])


def _about(path: Path) -> About:
    """What `litert.json` says; ValueError where it is not as docs/containers.md has it."""
    try:
        one = json.loads(path.read_bytes())
        forms = tuple(tuple(int(size) for size in form) for form in one["forms"])
        about = About(tuple(map(str, one["signatures"])), str(one["input"]), forms, str(one["refusal"]))
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path.name} is not of the contract's form") from error
    if not about.signatures or not about.forms or min((size for form in forms for size in form), default=0) < 1:
        raise ValueError(f"{path.name} names no signature, or no form of a row")
    if len({np.prod(form) for form in forms}) != 1:
        raise ValueError(f"{path.name}: the forms of a row have different sizes")
    return about
