"""What lies beside a model, read strictly: a record that is not as it should be is told in one sentence."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

LIMIT = 1 << 20
"""Bytes of a record at most; a card takes 3 KB."""

TAG = "[1-9][0-9]{0,18}"
"""A version's tag as a pattern: a whole number, as the servers read it."""

MOST_IMAGES, PIXELS = 10_000, 784
PACKED = 16 << 20
"""Bytes of a test_images.zip at most; 500 images take 90 KB."""


def inside(name: str) -> str:
    """A file's name that leads nowhere but into the version's own folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name or len(name) > 1000:
        raise ValueError("a name that leads out of the folder, or is none")
    return name


class Record(BaseModel):
    """Strict in its types; what it does not name may be there too."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


R = TypeVar("R", bound=Record)


class File(Record):
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0, lt=1 << 63)


class Checksums(Record):
    """`checksums.json`."""

    files: dict[Annotated[str, AfterValidator(inside)], File]


class Data(Record):
    name: str
    stand_in: bool


class Metrics(Record):
    test_accuracy: FiniteFloat
    test_examples: int


class Durations(Record):
    total_s: FiniteFloat


class Card(Record):
    """`model_card.json`: the fields that are shown to people."""

    created: str
    model: str
    steps: int
    dataset: Data
    metrics: Metrics
    durations: Durations


class Begun(Record):
    """`run.json`: what a run was started from."""

    inputs: dict[str, str]


def checksums(text: bytes | None) -> dict[str, Any]:
    """The files of a version by name, each with `sha256` and `size`; ValueError says what is wrong."""
    return {name: entry.model_dump() for name, entry in parsed(Checksums, text).files.items()}


def card(text: bytes | None) -> dict[str, Any]:
    """A model card as it is written; ValueError says which field is wrong."""
    return parsed(Card, text).model_dump()


def inputs(text: bytes | None) -> dict[str, str]:
    """The inputs that a run was started from; ValueError says what is wrong."""
    return parsed(Begun, text).inputs


def parsed(kind: type[R], text: bytes | None) -> R:
    """A record of JSON of at most LIMIT bytes; None, for a file that is not there, is no record either."""
    if text is None or len(text) > LIMIT:
        raise ValueError("it is not there" if text is None else f"it is larger than {LIMIT:,} bytes")
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}" if where else str(first["msg"])) from None


def images(packed: bytes, count: int) -> list[tuple[bytes, int]]:
    """The first `count` of a test_images.zip: 784 grey bytes each, and the digit; ValueError says what is wrong.

    Never unpacks more than it may hold, so a zip bomb costs nothing. The idx format: a magic number (2051 images,
    2049 labels), then the sizes, all 4 bytes big-endian, then the values.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            pixels = member(archive, "images.idx", 16 + MOST_IMAGES * PIXELS)
            labels = member(archive, "labels.idx", 8 + MOST_IMAGES)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError, OSError, struct.error) as error:
        raise ValueError(str(error) or "a member is cut off") from None
    there = len(labels) - 8
    if not 0 < there <= MOST_IMAGES or labels[:8] != struct.pack(">II", 2049, there):
        raise ValueError("labels.idx has a wrong header or a wrong length")
    if len(pixels) != 16 + there * PIXELS or pixels[:16] != struct.pack(">IIII", 2051, there, 28, 28):
        raise ValueError(f"images.idx does not hold {there} images of 28x28")
    return [(pixels[16 + at * PIXELS : 16 + (at + 1) * PIXELS], labels[8 + at]) for at in range(min(count, there))]


def member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """One member's bytes, whatever its header promises: the limit and one byte at most."""
    if archive.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is packed in another way than zip's own")
    with archive.open(name) as file:
        return file.read(limit + 1)
