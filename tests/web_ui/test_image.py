"""The UI's image: the same versions as everywhere, all of them named, and a user who is nobody."""

from __future__ import annotations

import importlib.metadata
import re

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.web_ui.conftest import WEB_UI


def pins(path: str) -> dict[str, str]:
    lines = (WEB_UI / path).read_text().splitlines()
    named = (re.match(r"([A-Za-z0-9_.-]+)==([^\s#]+)", line) for line in lines)
    return {canonicalize_name(match[1]): match[2] for match in named if match}


def test_every_version_is_the_repositorys() -> None:
    everywhere = pins("../constraints.txt")
    assert pins("requirements.txt") == {name: everywhere.get(name) for name in pins("requirements.txt")}


def test_every_package_that_is_needed_is_named_and_no_other() -> None:
    needed, todo = set(), ["flask", "gunicorn", "grpcio", "protobuf", "google-cloud-storage", "pillow"]
    while todo:
        name = canonicalize_name(todo.pop())
        if name not in needed:
            needed.add(name)
            wanted = map(Requirement, importlib.metadata.requires(name) or [])
            todo += [each.name for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})]
    assert set(pins("requirements.txt")) == needed


def test_the_image_is_pinned_and_runs_as_nobody() -> None:
    lines = (WEB_UI / "Dockerfile").read_text().splitlines()
    (base,) = [line for line in lines if line.startswith("FROM ")]
    assert re.fullmatch(r"FROM python:3\.\d+\.\d+-slim-\w+", base)
    assert "USER 65532:65532" in lines
    assert "WORKDIR /app" in lines
