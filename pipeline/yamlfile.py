"""Reads a YAML file strictly: what two YAML readers could take differently is refused, with file and line.

PyYAML (YAML 1.1), kubectl (parts of 1.1 and 1.2) and YAML 1.2 disagree on many plain scalars, and all of them
let duplicate keys pass. Here plain text, `true`, `false`, `null`, decimal numbers and quoted strings remain.
CRLF line ends and a leading UTF-8 byte order mark are read: they mean the same to every reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import PipelineError
from pipeline.names import printable, quoted

MAX_BYTES, MAX_DEPTH, MAX_NODES = 64 * 1024, 20, 5_000
"""A settings file has 3 KB, 3 levels and 70 nodes; the limits keep a wrong file cheap."""

Address = tuple[str | int, ...]
"""Where a value stands in its document: ("data", "mirrors", 1)."""


@dataclass(frozen=True)
class Mark:
    """The line a value stands on, and a scalar as it was written."""

    line: int
    written: str = ""


@dataclass(frozen=True)
class Document:
    """A mapping's plain values, and where each of them stands."""

    value: dict[str, Any]
    marks: dict[Address, Mark] = field(default_factory=dict)


_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_WORD = re.compile(r"y|n|yes|no|on|off|true|false|null|~|=|<<", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt\s].*)?", re.DOTALL)
_OTHER_NUMBER = re.compile(
    r"[-+]?\.(inf|nan)"
    r"|[-+]?0[xob][-+]?[0-9a-f_]+"  # other bases, also in Go's writing
    r"|[-+]?(?=[._]*[0-9])[0-9_]*\.?[0-9_]*(e[-+]?[0-9]+)?"  # 0123, 1_000, 1e3, .5, 5., +1
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?",  # base 60: 12:34:56
    re.IGNORECASE,
)
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters, characters some readers take for a line end, and those that turn text around."""


def read(path: Path, name: str) -> Document:
    """The mapping in `path`; `name` is what errors call the file. PipelineError: `name:line key: …`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PipelineError(f"{name}: cannot be read: {error.strerror}") from None
    return parse(data, name)


def parse(data: bytes, name: str) -> Document:
    """As `read`, from bytes."""
    try:
        return _Reader(_decoded(data, name), name).document()
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        hint = "; indent with spaces" if "'\\t'" in str(error.problem) else ""
        raise PipelineError(f"{name}{line}: this is not YAML: {error.problem}{hint}") from None
    except yaml.YAMLError as error:
        raise PipelineError(f"{name}: this is not YAML: {str(error).splitlines()[0]}") from None
    except (ValueError, OverflowError):  # PyYAML hands "\\UFFFFFFFF" and %YAML 1.99…9 to chr() and int()
        raise PipelineError(f"{name}: an escape or a number in it is out of range; remove it") from None


def plain(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar; ValueError says why it must be quoted where readers would differ."""
    if text in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[text]
    written = printable(text)
    quoted = f'write "{written}"'
    if number := _NUMBER.fullmatch(text):
        if len(text) > 15:
            raise ValueError(f"{written} has more digits than every reader keeps; {quoted}")
        return float(text) if number[2] else int(text)
    if text == "":
        raise ValueError('there is no value; write one, or null, or ""')
    if _WORD.fullmatch(text):
        raise ValueError(f"{written} is text to some YAML readers and not to others; {quoted} or {_meant(text)}")
    if _DATE.fullmatch(text):
        raise ValueError(f"{written} is a date to some YAML readers and text to others; {quoted}")
    if _OTHER_NUMBER.fullmatch(text):
        raise ValueError(
            f"{written} is not the same number to every YAML reader; {quoted}, or the number in plain digits"
        )
    return text


def _meant(word: str) -> str:
    lowered = word.lower()
    if lowered in ("y", "yes", "on", "true"):
        return "true"
    return "null" if lowered in ("~", "null") else "false"


def _decoded(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise PipelineError(f"{name}: larger than {MAX_BYTES // 1024} KB; this does not look like a settings file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PipelineError(f"{name}:{line}: not UTF-8 text; save the file as UTF-8") from None
    if found := _UNSEEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise PipelineError(f"{name}:{line}: contains the invisible character U+{ord(found[0]):04X}; remove it")
    return text


class _Reader:
    """Builds one document from PyYAML's events, so that nothing is constructed that was not looked at."""

    def __init__(self, text: str, name: str) -> None:
        self.events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
        self.name = name
        self.nodes = 0
        self.marks: dict[Address, Mark] = {}

    def document(self) -> Document:
        next(self.events)  # the stream's start
        start = next(self.events)
        if isinstance(start, yaml.StreamEndEvent):
            raise PipelineError(f"{self.name}: empty; write at least one setting, or remove the file")
        if start.version or start.tags:
            raise self.fault(start, (), "a % directive has no place here; remove the line")
        root = next(self.events)
        if not isinstance(root, yaml.MappingStartEvent):
            raise self.fault(root, (), 'settings are wanted, one "key: value" a line')
        value = self.node(root, ())
        next(self.events)  # the document's end
        if not isinstance(after := next(self.events), yaml.StreamEndEvent):
            raise self.fault(after, (), "a second document begins; one file holds one")
        return Document(value, self.marks)

    def fault(self, event: Any, address: Address, problem: str) -> PipelineError:
        key = f" {dotted(address)}" if address else ""
        return PipelineError(f"{self.name}:{event.start_mark.line + 1}{key}: {problem}")

    def node(self, event: Any, address: Address) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or len(address) > MAX_DEPTH:
            limit = f"more than {MAX_NODES} values" if self.nodes > MAX_NODES else f"deeper than {MAX_DEPTH} levels"
            raise self.fault(event, address[:3], f"{limit}; this does not look like a settings file")
        if isinstance(event, yaml.AliasEvent):
            raise self.fault(
                event, address, f"the alias *{event.anchor} hides where a value comes from; write the value"
            )
        if event.anchor is not None:
            raise self.fault(
                event,
                address,
                f"the anchor &{event.anchor} hides an override; write the value where it is used",
            )
        if event.tag is not None:
            raise self.fault(event, address, f"the tag {printable(event.tag)} is not allowed; write a plain value")
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(address)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(address)
        return self.scalar(event, address)

    def mapping(self, address: Address) -> dict[str, Any]:
        values: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, address)
            inner = (*address, key)
            if key in values:
                first = self.marks[inner].line
                raise self.fault(event, inner, f"is here a second time, first on line {first}; keep one")
            self.marks[inner] = Mark(event.start_mark.line + 1)
            values[key] = self.node(next(self.events), inner)
        return values

    def key(self, event: Any, address: Address) -> str:
        if isinstance(event, yaml.ScalarEvent) and event.style is None and event.value == "<<":
            raise self.fault(event, address, "a merge key (<<) hides overrides; write the settings out")
        if isinstance(event, yaml.CollectionStartEvent):
            raise self.fault(event, address, "a key must be text, not a list or a mapping")
        key = self.node(event, address)
        if not isinstance(key, str):
            raise self.fault(
                event, address, f"the key {printable(event.value)} is not text; write {quoted(event.value)}"
            )
        return key

    def sequence(self, address: Address) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            inner = (*address, len(values))
            self.marks[inner] = Mark(event.start_mark.line + 1)
            values.append(self.node(event, inner))
        return values

    def scalar(self, event: Any, address: Address) -> str | int | float | bool | None:
        if address in self.marks:
            self.marks[address] = Mark(self.marks[address].line, event.value)
        if event.style is None:
            try:
                return plain(event.value)
            except ValueError as error:
                raise self.fault(event, address, str(error)) from None
        text: str = event.value
        if re.search("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]", text):
            raise self.fault(event, address, "contains a control character or half a character; remove it")
        return text


def dotted(address: Address) -> str:
    """`data.mirrors[1]` for ("data", "mirrors", 1), on one line whatever the keys hold."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{printable(part)}" for part in address)
    return "".join(parts).removeprefix(".")
