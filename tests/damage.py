"""What can become of a file: strategies of damaged bytes and of JSON that is not what was agreed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

HUGE = (0, -1, 2**31, 2**63, 10**400, 1e308, float("inf"), float("-inf"), float("nan"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(HUGE) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
HOSTILE = (
    b"", b"null", b"[]", b"{}", b"7", b'"x"', b"{", b"[" * 200_000, b'{"a":' * 200_000, b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}", b"9" * 5000, b'{"files": ' + b"9" * 5000 + b"}", b"\x00" * 100, b" " * 3_000_000 + b"{}",
    b'{"files": {"\\ud800": {"sha256": "", "size": 1}}}', b'"' + b"x" * 2_000_000 + b'"',
)  # fmt: skip
"""Texts that make JSON readers fail each in its own way, and texts that are too long."""


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """The content cut off, longer, with a byte changed, with a part missing, or something else."""
    at = st.integers(0, len(content) - 1)
    parts = st.tuples(at, at).map(sorted)
    return st.one_of(
        at.map(lambda end: content[:end]),
        st.binary(min_size=1, max_size=40).map(lambda more: content + more),
        st.tuples(at, st.integers(1, 255)).map(lambda one: flipped(content, *one)),
        parts.map(lambda part: content[: part[0]] + content[part[1] + 1 :]),
        parts.map(lambda part: content[: part[0]] + bytes(part[1] - part[0]) + content[part[1] :]),
        st.binary(max_size=200),
    )


def flipped(content: bytes, at: int, by: int) -> bytes:
    return content[:at] + bytes([content[at] ^ by]) + content[at + 1 :]


def records(record: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """A record's JSON with one value replaced or left out, damaged as bytes, or something else."""
    text = json.dumps(record).encode()
    changed = st.tuples(st.sampled_from(list(paths(record))), VALUES | st.just(...)).map(
        lambda change: json.dumps(replaced(record, *change)).encode()
    )
    return st.one_of(changed, damaged(text), st.sampled_from(HOSTILE))


def paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the values in a record are, itself among them."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield from paths(inner, (*path, key))


def replaced(record: Any, path: tuple[str, ...], value: Any) -> Any:
    """The record with another value there, or with none (...)."""
    if not path:
        return None if value is ... else value
    made = copy.deepcopy(record)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return made
