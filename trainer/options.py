"""The flags of `python -m trainer`, each with a variable (--tf-seed is TF_SEED); the flag wins."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

from trainer.errors import UsageError

MIRRORS = "https://storage.googleapis.com/cvdf-datasets/mnist/,https://ossci-datasets.s3.amazonaws.com/mnist/"


def _whole(low: int, high: int = 2**31 - 1) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]+", text) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return convert


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError("a number above 0, such as 0.01")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise ValueError("a share from 0 to below 1, such as 0.1")
    return value


def _choice(*names: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return text.lower()

    return convert


def _tag(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text):
        raise ValueError("a Unix timestamp, such as 1763900000")
    return int(text)


def _mirrors(text: str) -> tuple[str, ...]:
    addresses = tuple(part.strip().rstrip("/") + "/" for part in text.split(",") if part.strip())
    if not addresses or not all(re.match(r"https?://[^/]", address) for address in addresses):
        raise ValueError("http:// or https:// addresses of folders, with commas between them")
    return addresses


def _label(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", text):
        raise ValueError("a name of small letters, digits and dashes")
    return text


def _path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("a path")
    return text


def _flag(default: Any, convert: Callable[[str], Any], text: str) -> Any:
    return field(default=default, metadata={"convert": convert, "help": text})


@dataclass(frozen=True)
class Options:
    """What one run was asked to do; the field `train_steps` is the flag `--tf-train-steps`."""

    data_dir: str = _flag("/tmp/data/", _path, "where downloaded files are kept")  # noqa: S108  # the tutorial's
    model_dir: str | None = _flag(None, _path, "checkpoints; the same folder resumes (default: temporary)")
    export_dir: str = _flag("mnist/", _path, "base folder of the exported versions")
    model_type: str = _flag("cnn", _choice("cnn", "linear", "fast", "accurate"), "CNN, LINEAR, FAST or ACCURATE")
    train_steps: int = _flag(200, _whole(1), "steps in all; a resumed run does what is left")
    batch_size: int = _flag(100, _whole(1, 60_000), "images a step")
    learning_rate: float = _flag(0.01, _rate, "the step size; with one-cycle its peak")
    optimizer: str = _flag("sgd", _choice("sgd", "nesterov", "adam"), "sgd, nesterov or adam")
    schedule: str = _flag("constant", _choice("constant", "one-cycle"), "constant or one-cycle")
    augment_pixels: int = _flag(0, _whole(0, 14), "shift training images by up to so many pixels")
    precision: str = _flag("float32", _choice("float32", "bfloat16", "auto"), "float32, bfloat16 or auto")
    seed: int = _flag(1, _whole(0), "same seed, one process: the same weights")
    dataset: str = _flag("mnist", _choice("mnist", "digits", "auto"), "mnist, digits or auto")
    mirrors: tuple[str, ...] = _flag(_mirrors(MIRRORS), _mirrors, "addresses of folders, commas between")
    version_tag: int | None = _flag(None, _tag, "names the export (default: the time, or the last + 1)")
    checkpoint_every: int = _flag(200, _whole(1), "steps between checkpoints")
    keep_checkpoints: int = _flag(3, _whole(1), "how many checkpoints are kept")
    global_batch: str = _flag("keep", _choice("keep", "scale"), "several workers: keep the batch, or scale it by them")
    validation_share: float = _flag(0.0, _share, "above 0: measure on this share of the training images only")
    tuned_by: str | None = _flag(None, _label, "the experiment that the values come from, for the model card")


def flag_of(name: str) -> str:
    """Give the flag of a field."""
    return "--tf-" + name.replace("_", "-")


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Read flags and TF_* variables; raises UsageError naming the flag or the variable."""
    parser = _Parser(
        prog="python -m trainer", description="Train a digit classifier and export it.", allow_abbrev=False
    )
    for one in fields(Options):
        parser.add_argument(
            flag_of(one.name), dest=one.name, metavar="X", help=_help(one.metadata["help"], one.default)
        )
    given = vars(parser.parse_args(list(argv)))
    values: dict[str, Any] = {}
    for one in fields(Options):
        variable = "TF_" + one.name.upper()
        origin, text = flag_of(one.name), given[one.name]
        if text is None:
            origin, text = variable, environ.get(variable) or None
        if text is not None:
            values[one.name] = _convert(one.metadata["convert"], origin, text)
    return Options(**values)


def _convert(convert: Callable[[str], Any], origin: str, text: str) -> Any:
    try:
        return convert(text)
    except ValueError as error:
        raise UsageError(f"{origin}: {text!r} is not {error}.") from None


def _help(text: str, default: Any) -> str:
    shown = ",".join(default) if isinstance(default, tuple) else default
    return text if default is None else f"{text} (default: {shown})"


class _Parser(argparse.ArgumentParser):
    """Raises a UsageError of one sentence where argparse would print its usage and exit."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[0].upper()}{message[1:]}; `python -m trainer --help` lists the flags.")
