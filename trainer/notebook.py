"""A training in one cell of a notebook: the code of `python -m trainer`, with its options by keyword."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from trainer import export, files
from trainer.errors import UsageError
from trainer.options import Options, flag_of, parse
from trainer.report import Report
from trainer.run import execute
from trainer.signals import Interrupted, Signals


def train(**options: Any) -> Report:
    """Train, evaluate and export, as `train(model_type="fast", train_steps=500)`; gives what a notebook shows.

    An option is a flag of `python -m trainer` without `--tf-`; a TF_* variable counts where none is given. What argv
    holds does not matter. Versions go to `mnist` in the folder for temporary files unless `export_dir` says otherwise.
    Raises UsageError for an option that is unknown or has a wrong value, TrainerError where the training fails,
    KeyboardInterrupt after Jupyter's ■, from which the same cell goes on if it gives a `model_dir`.
    """
    chosen = _options(options)
    with _model_dir(chosen) as folder, _signals() as signals:
        tag = chosen.version_tag or export.next_tag(chosen.export_dir, int(time.time()))
        try:
            execute(replace(chosen, version_tag=tag, model_dir=folder), os.environ, signals)
        except Interrupted as stop:
            raise KeyboardInterrupt(str(stop) if chosen.model_dir else "nothing is kept of this training") from None
        return _report(folder, files.join(chosen.export_dir, str(tag)))


def _report(folder: str, path: str) -> Report:
    from trainer import scalars  # TensorFlow is there by now

    recorded = scalars.read(folder)
    card = json.loads(files.read(files.join(path, "model_card.json")))
    return Report(path, card, recorded.curves, recorded.pictures)


def _options(given: dict[str, Any]) -> Options:
    names = [one.name for one in fields(Options)]
    for name in given:
        if name not in names:
            close = get_close_matches(name, names, n=1)
            raise UsageError(
                f"There is no option {name!r}; " + (f"did you mean {close[0]!r}?" if close else _all(names))
            )
    chosen = parse([f"{flag_of(name)}={_text(value)}" for name, value in given.items()], os.environ)
    if "export_dir" in given or os.environ.get("TF_EXPORT_DIR"):
        return chosen
    return replace(chosen, export_dir=str(Path(tempfile.gettempdir(), "mnist")))


def _all(names: list[str]) -> str:
    return f"there are {', '.join(names)}."


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


@contextmanager
def _model_dir(options: Options) -> Iterator[str]:
    """Give the folder of checkpoints and curves; one that nobody asked for goes away."""
    if options.model_dir:
        yield options.model_dir
        return
    with tempfile.TemporaryDirectory(prefix="trainer-") as folder:
        yield folder


@contextmanager
def _signals() -> Iterator[Signals]:
    """Heed signals while the cell runs; afterwards they are Jupyter's again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield Signals()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
