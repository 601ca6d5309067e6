"""Keeps what is loaded equal to what the folders hold: load the new beside the old, swap, unload the old."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from serving.backend import Backend, LoadedModel, LoadError
from serving.configs import ModelConfig, VersionPolicy
from serving.errors import Code, ServingError
from serving.models import Models
from serving.trial import what_is_lost
from serving.versions import fingerprint, list_versions, why_not_whole

log = logging.getLogger("serving")


class Loader:
    """Looks at the folders when told to. Any thread may call `poll` and `configure`; one at a time runs."""

    def __init__(self, models: Models, backend: Backend, early_labels: bool = False) -> None:
        """With `early_labels` a label that is new may name a version that is not loaded yet."""
        self._models, self._backend, self._early_labels = models, backend, early_labels
        self._configs: dict[str, ModelConfig] = {}
        self._lock = threading.Lock()
        self._refused: dict[Path, object] = {}  # folder → its fingerprint when it was refused
        self._said: dict[object, str] = {}  # what was logged last about a thing: said again only when it changes

    def poll(self) -> None:
        """One look at every model's folder; loads and unloads what that asks for."""
        with self._lock:
            self._poll()

    def configure(self, configs: Iterable[ModelConfig], look: bool = True) -> None:
        """Serve these models from now on, and look at their folders; those that are left out are unloaded.

        ServingError FAILED_PRECONDITION, and nothing changes, when a label names a version that is not loaded. As in
        tensorflow_model_server that is asked before anything is loaded: load first, then move the label.
        """
        wanted = {config.name: config for config in configs}
        with self._lock:
            for config in wanted.values():
                self._check_labels(config)
            gone, self._configs = set(self._configs) - set(wanted), wanted
            for config in wanted.values():
                self._models.label(config.name, config.labels)
            if look:
                self._poll()
            for name in gone:
                self._models.label(name, {})
                self._retire(name, self._models.available(name))

    def serves(self, configs: Iterable[ModelConfig]) -> bool:
        """Whether it was told to serve just these."""
        return self._configs == {config.name: config for config in configs}

    def names(self) -> tuple[str, ...]:
        """The models to serve."""
        return tuple(self._configs)

    def ready(self) -> bool:
        """Whether every model has a version that answers."""
        return all(self._models.available(name) for name in self.names())

    def _poll(self) -> None:
        for config in self._configs.values():
            try:
                folders = list_versions(config.base_path)
            except OSError as error:
                self._say(
                    config.name,
                    f"{config.name}: {config.base_path} cannot be read ({error.strerror}); waiting",
                )
                continue
            self._update(config, folders)

    def _update(self, config: ModelConfig, folders: dict[int, Path]) -> None:
        """Make the wanted versions available, and only then unload the others.

        A version whose folder has gone is not wanted. But the last one available is never unloaded; here
        tensorflow_model_server differs and unloads it. An empty folder is more often a mistake than a wish.
        """
        wanted = self._bring_up(config, folders)
        available = self._models.available(config.name)
        if not available:
            self._say(config.name, f"{config.name}: no version to serve in {config.base_path} yet; waiting")
        elif not wanted:
            self._say(
                config.name,
                f"{config.name}: nothing to serve in {config.base_path}; {max(available)} goes on",
            )
        else:
            self._said.pop(config.name, None)
            self._retire(config.name, set(available) - wanted)

    def _bring_up(self, config: ModelConfig, folders: dict[int, Path]) -> set[int]:
        """The versions to serve that are available now, loading what is not; `folders` is newest first."""
        wanted: set[int] = set()
        for version, folder in folders.items():
            if len(wanted) == _limit(config.policy, folders):
                break
            if config.policy.specific and version not in config.policy.specific:
                continue
            if version in self._models.available(config.name) or self._load(config.name, version, folder):
                wanted.add(version)
        return wanted

    def _load(self, name: str, version: int, folder: Path) -> bool:
        """Load a version and let it answer; False and one log line when it is not whole or does not load."""
        seen = fingerprint(folder)
        if self._refused.get(folder) == seen:
            return False
        started = time.monotonic()
        servable = self._models.loading(name, version)
        try:
            model = self._read(name, folder)
        except LoadError as error:
            self._models.fail(servable, ServingError(Code.FAILED_PRECONDITION, str(error)))
            self._refused[folder] = seen
            self._say((name, version), f"{name}: version {version} refused: {error}")
            return False
        self._models.publish(servable, model)
        self._refused.pop(folder, None)
        self._said.pop((name, version), None)
        log.info("%s: version %d is available, loaded in %.2f s", name, version, time.monotonic() - started)
        return True

    def _read(self, name: str, folder: Path) -> LoadedModel:
        """The version, loaded; LoadError where it is not whole, does not run, or answers not what the last one does."""
        reason = why_not_whole(folder)
        if reason is not None:
            raise LoadError(reason)
        model = self._backend.load(folder)
        newest = self._models.newest(name)
        lost = newest and newest.model and what_is_lost(newest.model.signatures, model.signatures)
        if lost:
            model.close()
            raise LoadError(f"{lost}, as version {newest.version}, which is served, does")
        return model

    def _retire(self, name: str, versions: Iterable[int]) -> None:
        for version in sorted(versions):
            self._models.retire(name, version)
            log.info("%s: version %d is unloaded when its running requests are answered", name, version)

    def _check_labels(self, config: ModelConfig) -> None:
        """server_core.cc, UpdateModelVersionLabelMap."""
        for label, version in config.labels.items():
            early = self._early_labels and self._models.labelled(config.name, label) in (None, version)
            if not early and version not in self._models.available(config.name):
                raise ServingError(
                    Code.FAILED_PRECONDITION,
                    f"Request to assign label to version {version} of model {config.name}, "
                    "which is not currently available for inference",
                )

    def _say(self, about: object, message: str) -> None:
        message = " ".join(message.split())  # TensorFlow's errors have several lines, a log entry has one
        if self._said.get(about) != message:
            self._said[about] = message
            log.warning("%s", message)


def _limit(policy: VersionPolicy, folders: dict[int, Path]) -> int:
    """How many versions at most are served at once."""
    return len(folders) if policy.every or policy.specific else policy.latest
