"""A picture as it is written to TensorBoard and shown in a notebook."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """PNG, three channels, with its size in pixels."""

    png: bytes
    width: int
    height: int
