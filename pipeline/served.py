"""What a model server serves, as its `models.config` says it, and the moves from one such state to another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

FILE = "models.config"
"""The key in the ConfigMap, and the file's name in the container: a ModelServerConfig in protobuf's text form."""

STABLE = "stable"
"""The label that requests may name instead of a version."""


@dataclass(frozen=True)
class Served:
    """Which versions are loaded, and which of them has which label; a request that names none gets the newest."""

    versions: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)


def only(tag: str) -> Served:
    """One version, which is stable: how a server is left."""
    return Served((tag,), {STABLE: tag})


def moves(before: Served | None, tag: str) -> tuple[Served, ...]:
    """The states to go through, the last of which serves only this version; `before` is None where nothing is served.

    TensorFlow Serving refuses a label for a version that is not loaded, and all of the file with it. So the version is
    first loaded beside the one that has the label; the next state must wait until it is.
    """
    if before is None or before == only(tag):
        return (only(tag),)
    kept = set(before.labels.values()) or set(before.versions)
    beside = tuple(sorted({*kept, tag}, key=lambda one: int(one) if one.isdigit() else float("inf")))
    return Served(beside, before.labels), only(tag)


def summary(served: Served) -> str:
    """A state in a word that an annotation takes: `100+200,stable=100`."""
    return ",".join(["+".join(served.versions), *(f"{label}={tag}" for label, tag in served.labels.items())])


def spoken(served: Served) -> str:
    """A state in words: `100 beside 200, of which 100 is stable`."""
    labels = ", ".join(f"{tag} is {label}" for label, tag in served.labels.items())
    return " beside ".join(served.versions) + (f", of which {labels}" if len(served.versions) > 1 else f": {labels}")


def text(model: str, base_path: str, served: Served) -> str:
    """The ModelServerConfig."""
    versions = "".join(f" versions: {tag}" for tag in served.versions)
    labels = [f'    version_labels {{ key: "{label}" value: {tag} }}' for label, tag in served.labels.items()]
    return "\n".join([
        "model_config_list {",
        "  config {",
        f'    name: "{model}"',
        f'    base_path: "{quoted(base_path)}"',
        '    model_platform: "tensorflow"',
        f"    model_version_policy {{ specific {{{versions} }} }}",
        *labels,
        "  }",
        "}",
        "",
    ])  # fmt: skip


def quoted(value: str) -> str:
    """A value between double quotes as protobuf's text form takes it."""
    return value.replace("\\", r"\\").replace('"', r"\"")


def read(config: str) -> Served | None:
    """What such a text of ours says; None where it names no versions."""
    versions = re.findall(r"\bversions: (\d+)", config)
    labels = re.findall(r'key: "([^"]+)" value: (\d+)', config)
    return Served(tuple(versions), dict(labels)) if versions else None
