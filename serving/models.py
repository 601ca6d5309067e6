"""The models in memory: which version answers a request, and how long one lives that is on its way out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from serving.backend import LoadedModel
from serving.errors import Code, ServingError, invalid
from serving.messages import ModelSpec, ModelVersionStatus
from serving.signatures import Signature

State = ModelVersionStatus.State
_AVAILABLE, _UNLOADING = State.AVAILABLE, State.UNLOADING  # looked up once: protobuf takes 1 µs every time

# How many versions that have ended a model remembers for GetModelStatus.
_REMEMBERED = 20


@dataclass(eq=False)
class Servable:
    """One version: its state for GetModelStatus, and, while it is loaded, the model."""

    name: str
    version: int
    state: State = State.LOADING
    error: ServingError | None = None
    model: LoadedModel | None = None
    running: int = 0


class Models:
    """Every version of every model. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: dict[str, dict[int, Servable]] = {}
        self._labels: dict[str, Mapping[str, int]] = {}

    @contextmanager
    def lease(self, spec: ModelSpec) -> Iterator[Servable]:
        """The version that the request asks for; it stays loaded until the block ends.

        ServingError as TensorFlow Serving's ServerCore and BasicManager word it.
        """
        with self._lock:
            servable = self._find(spec)
            servable.running += 1
        try:
            yield servable
        finally:
            with self._lock:
                servable.running -= 1
                ended = self._end_if_idle(servable)
            _close(ended)

    def signatures(self, spec: ModelSpec) -> Mapping[str, Signature]:
        """What the version that a request asks for says of itself; ServingError as `lease`."""
        with self._lock:
            return self._find(spec).model.signatures

    def _find(self, spec: ModelSpec) -> Servable:
        wanted = self._wanted_version(spec)
        found = self._available(spec.name)
        if wanted is None and found:
            return found[max(found)]
        if wanted in found:
            return found[wanted]
        asked = f"Latest({spec.name})" if wanted is None else f"Specific({spec.name}, {wanted})"
        raise ServingError(Code.NOT_FOUND, f"Servable not found for request: {asked}")

    def _wanted_version(self, spec: ModelSpec) -> int | None:
        # model_servers/server_core.cc, ServableRequestFromModelSpec and GetModelVersionForLabel
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        match spec.WhichOneof("version_choice"):
            case "version":
                return spec.version.value
            case "version_label":
                labels = self._labels.get(spec.name, {})
                if spec.version_label not in labels:
                    raise invalid(f"Unrecognized servable version label: {spec.version_label}")
                return labels[spec.version_label]
        return None

    def _available(self, name: str) -> dict[int, Servable]:
        versions = self._versions.get(name, {})
        return {number: one for number, one in versions.items() if one.state == _AVAILABLE}

    def available(self, name: str) -> tuple[int, ...]:
        """The loaded versions of a model, oldest first."""
        with self._lock:
            return tuple(sorted(self._available(name)))

    def newest(self, name: str) -> Servable | None:
        """The newest loaded version of a model."""
        with self._lock:
            found = self._available(name)
            return found[max(found)] if found else None

    def states(self, name: str) -> list[tuple[int, State, ServingError | None]]:
        """Every known version of a model, newest first: number, state, and why it failed if it did."""
        with self._lock:
            versions = self._versions.get(name, {})
            return [(number, versions[number].state, versions[number].error) for number in sorted(versions)[::-1]]

    def loading(self, name: str, version: int) -> Servable:
        """Note that a version is being loaded."""
        with self._lock:
            servable = self._versions.setdefault(name, {})[version] = Servable(name, version)
            self._forget_old(name)
            return servable

    def publish(self, servable: Servable, model: LoadedModel) -> None:
        """From now on the version answers."""
        with self._lock:
            servable.model, servable.state = model, State.AVAILABLE

    def fail(self, servable: Servable, error: ServingError) -> None:
        """Note that a version could not be loaded, and why."""
        with self._lock:
            servable.error, servable.state = error, State.END

    def retire(self, name: str, version: int) -> None:
        """The version gets no new request; when the last running one is answered its memory is given back."""
        with self._lock:
            servable = self._versions[name][version]
            servable.state = State.UNLOADING
            ended = self._end_if_idle(servable)
        _close(ended)

    def label(self, name: str, labels: Mapping[str, int]) -> None:
        """Replace the model's labels."""
        with self._lock:
            self._labels[name] = labels

    def labelled(self, name: str, label: str) -> int | None:
        """The version that a label of a model stands for."""
        with self._lock:
            return self._labels.get(name, {}).get(label)

    def _end_if_idle(self, servable: Servable) -> LoadedModel | None:
        if servable.state != _UNLOADING or servable.running:
            return None
        servable.state = State.END
        model, servable.model = servable.model, None
        return model

    def _forget_old(self, name: str) -> None:
        ended = sorted(number for number, one in self._versions[name].items() if one.state == State.END)
        for number in ended[:-_REMEMBERED]:
            del self._versions[name][number]


def _close(model: LoadedModel | None) -> None:
    if model is not None:
        model.close()
