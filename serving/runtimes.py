"""Which runtime a version gets: LiteRT where it has a copy for it, else TensorFlow, which is loaded only then."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from serving import saved_model
from serving.backend import LoadedModel, LoadError
from serving.quiet import quiet_stderr
from serving.signatures import Signature
from serving.trial import rows_are_apart, warm_up
from serving.versions import LITERT_MODEL

log = logging.getLogger("serving")


class Runtimes:
    """Loads versions. One thread at a time may ask."""

    def load(self, path: Path) -> LoadedModel:
        """The version in this folder, warmed up; LoadError when it cannot be loaded or does not run."""
        signatures = saved_model.signatures(path)
        model = _litert(path, signatures) or _tensorflow(path, signatures)
        try:
            warm_up(model)
            model.joins = model.joins and rows_are_apart(model)
        except LoadError:
            model.close()
            raise
        return model


def _litert(path: Path, signatures: Mapping[str, Signature]) -> LoadedModel | None:
    """The LiteRT copy; None, and the reason in the log, where it is of no use."""
    if not (path / LITERT_MODEL).is_file():
        return None
    try:
        with quiet_stderr():
            from serving.litert_backend import LiteRTModel, UnfitError
    except ImportError as error:
        log.warning("version %s has a LiteRT copy, but TensorFlow runs it: %s", path.name, error)
        return None
    try:
        with quiet_stderr():
            return LiteRTModel(path, signatures)
    except UnfitError as error:
        log.warning("version %s has a LiteRT copy that is of no use (%s): TensorFlow runs it", path.name, error)
        return None


def _tensorflow(path: Path, signatures: Mapping[str, Signature]) -> LoadedModel:
    with quiet_stderr():
        from serving.tensorflow_backend import TensorFlowModel
    return TensorFlowModel(path, signatures)
