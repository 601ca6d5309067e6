"""Reads an environment, base.yaml < <environment>.yaml < `--set`, and remembers where each value is from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from invoke.context import Context
from pydantic import ValidationError

from pipeline import explain, program, yamlfile
from pipeline.conflicts import conflicts
from pipeline.errors import PipelineError
from pipeline.names import printable
from pipeline.settings import PLACEHOLDER_PROJECT, Section, Settings

MOST_LINES = 3
"""As many faults as are shown at once."""

KNOWN = explain.settings_by_key()


@dataclass(frozen=True)
class Loaded:
    """An environment's settings, and by dotted key their origins: `config/local.yaml:12` or `--set`."""

    settings: Settings
    origins: dict[str, str]


@dataclass(frozen=True)
class Given:
    """A value that somebody wrote: as it was written, where, and where each item of a list or mapping stands."""

    value: Any
    origin: str
    written: str = ""
    items: tuple[str, ...] = ()
    inside: Mapping[yamlfile.Address, str] = field(default_factory=dict)

    def complaint(self, key: str, index: int | None = None, at: yamlfile.Address = ()) -> str:
        """How a sentence about this value begins, or about what stands `at` a place inside it."""
        if self.origin == "--set":
            within = f" {yamlfile.dotted(at)}" if at else ""
            return f"--set {printable(f'{key}={self.written}')}{within}"
        if at:
            return f"{self.inside.get(at, self.origin)} {yamlfile.dotted((*key.split('.'), *at))}"
        return f"{self.items[index]} {key}[{index}]" if index is not None else f"{self.origin} {key}"


def settings_of(c: Context) -> Settings:
    """The settings of the environment that `--env` and `--set` chose; read once in a process."""
    return loaded_of(c).settings


def loaded_of(c: Context) -> Loaded:
    """As `settings_of`, with the origins."""
    return _cached(*chosen_of(c))


def chosen_of(c: Context) -> tuple[str, tuple[str, ...]]:
    """The environment and the changes that the command line asked for."""
    chosen = c.config.get(program.CHOSEN)
    if chosen is None:  # fab, or a context made by hand
        return program.ambient_environment()[0], ()
    return chosen["environment"], tuple(chosen["set"])


@lru_cache
def _cached(environment: str, changes: tuple[str, ...]) -> Loaded:
    return load(environment, changes)


def load(environment: str, changes: Sequence[str] = (), folder: Path = program.CONFIG) -> Loaded:
    """Read an environment from `folder`; `changes` are `key=value`.

    Each layer must be right together with those below it: a later one does not hide an earlier one's mistake.
    PipelineError names file, line, key and remedy.
    """
    program.check_environment(environment, config=folder)
    base = _file(folder / "base.yaml")
    _validated(environment, base)
    loaded = given = base | _file(folder / f"{environment}.yaml")
    settings = _validated(environment, given)
    if changes:
        loaded = given | _changes(changes)
        settings = _validated(environment, loaded)
    return Loaded(settings, {key: loaded[key].origin for key in KNOWN})


def require_project(settings: Settings) -> None:
    """Refuse to go to a cloud while gcp.project is still the placeholder."""
    if settings.gcp.project == PLACEHOLDER_PROJECT:
        origin = load(settings.environment).origins["gcp.project"]
        raise PipelineError(
            f'{origin} gcp.project: still "{PLACEHOLDER_PROJECT}"; write your project\'s id there, '
            "or give --set gcp.project=…"
        )


def _file(path: Path) -> dict[str, Given]:
    """A file's settings by dotted key."""
    name = f"{path.parent.name}/{path.name}"
    document = yamlfile.read(path, name)
    faults: list[str] = []
    found = dict(_walk(document, name, Settings, (), document.value, faults))
    _refuse(faults)
    return found


def _walk(
    document: yamlfile.Document,
    name: str,
    model: type[Section],
    above: tuple[str, ...],
    values: dict[str, Any],
    faults: list[str],
) -> Iterator[tuple[str, Given]]:
    for part, value in values.items():
        address = (*above, part)
        key = ".".join(address)
        where = f"{name}:{document.marks[address].line} {yamlfile.dotted(address)}"
        known = model.model_fields.get(part)
        section = explain.section_of(known) if known else None
        if section and isinstance(value, dict):
            yield from _walk(document, name, section, address, value, faults)
        elif section:
            faults.append(f"{where}: is a group of settings; write them below it, indented")
        elif "." in part:
            faults.append(f"{where}: a dot does not lead into a group here; write the setting below it, indented")
        elif key not in KNOWN:
            faults.append(f"{where}: {explain.unknown(key, model.model_fields, KNOWN)}")
        else:
            yield key, _given(document, address, value, name)


def _given(document: yamlfile.Document, address: yamlfile.Address, value: Any, name: str) -> Given:
    mark = document.marks[address]
    place = f"{name}:{mark.line}"
    if isinstance(value, dict):
        below = {at[len(address) :]: one.line for at, one in document.marks.items() if at[: len(address)] == address}
        return Given(value, place, inside={at: f"{name}:{line}" for at, line in below.items()})
    if not isinstance(value, list):
        return Given(value, place, mark.written)
    lines = [document.marks[(*address, index)].line for index in range(len(value))]
    return Given(tuple(value), place, items=tuple(f"{name}:{line}" for line in lines))


def _changes(changes: Iterable[str]) -> dict[str, Given]:
    """What `--set` gave: text where the setting is text, else the value as YAML would have it."""
    found: dict[str, Given] = {}
    for change in changes:
        key, _, text = change.partition("=")
        if key not in KNOWN:
            inside = [other for other in KNOWN if other.startswith(f"{key}.")]
            group = f"is a group of settings; name one, such as {inside[0]}" if inside else ""
            raise PipelineError(f"--set {printable(change)}: {group or explain.unknown(key, (), KNOWN)}")
        try:
            found[key] = Given(explain.typed(text, KNOWN[key]), "--set", text)
        except ValueError as error:
            raise PipelineError(f"--set {printable(change)}: {error}") from None
    return found


def _validated(environment: str, given: dict[str, Given]) -> Settings:
    try:
        settings = Settings.model_validate({"environment": environment, **_nested(given)})
    except ValidationError as error:
        _refuse(list(_sentences(error.errors(), given, environment)))
        raise  # never reached: a ValidationError holds at least one error
    _refuse([f"{given[key].complaint(key)}: {what}" for key, what in conflicts(settings)])
    return settings


def _nested(given: dict[str, Given]) -> dict[str, Any]:
    """The values in their groups; a group that nobody writes is there and empty, so that its settings are missed."""
    nested: dict[str, Any] = {}
    for key in (*KNOWN, *given):
        group, (*above, name) = nested, key.split(".")
        for part in above:
            group = group.setdefault(part, {})
        if key in given:
            group[name] = given[key].value
    return nested


def _sentences(problems: Iterable[Any], given: dict[str, Given], environment: str) -> Iterator[str]:
    """A sentence for each problem, but one only for a `--set`: a list's later items wait their turn."""
    said = set[str]()
    for details in problems:
        key = ".".join(part for part in details["loc"] if isinstance(part, str))
        if key in given and given[key].origin == "--set" and key in said:
            continue
        said.add(key)
        yield _sentence(details, given, environment)


def _sentence(details: Any, given: dict[str, Given], environment: str) -> str:
    *parts, last = details["loc"]
    index = last if isinstance(last, int) else None
    key = ".".join(parts if index is not None else (*parts, last))
    if key == "environment":
        return f'environment "{environment}": {details["ctx"]["error"]}'
    if key not in given:
        return f"config/base.yaml {key}: {explain.problem(details, KNOWN[key], '')}"
    at = getattr(details.get("ctx", {}).get("error"), "at", ())
    return f"{given[key].complaint(key, index, at)}: {explain.problem(details, KNOWN[key], given[key].written)}"


def _refuse(faults: Sequence[str]) -> None:
    if len(faults) > MOST_LINES:
        faults = [*faults[: MOST_LINES - 1], f"… and {len(faults) - MOST_LINES + 1} more"]
    if faults:
        raise PipelineError("\n".join(faults))
