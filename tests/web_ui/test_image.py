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
    needed: set[str] = set()
    todo = ["flask", "waitress", "grpcio", "pillow", "prometheus-client", "protobuf", "google-cloud-storage"]
    while todo:
        name = canonicalize_name(todo.pop())
        if name not in needed:
            needed.add(name)
            wanted = map(Requirement, importlib.metadata.requires(name) or [])
            todo += [each.name for each in wanted if not each.marker or each.marker.evaluate({"extra": ""})]
    assert set(pins("requirements.txt")) == needed


def stages() -> dict[str, list[str]]:
    """The Dockerfile's instructions by stage; the last one, which becomes the image, is named ``."""
    text = re.sub(r"\\\n\s*", "", (WEB_UI / "Dockerfile").read_text())
    made: dict[str, list[str]] = {}
    for line in re.findall(r"^[A-Z]+ .*", text, re.MULTILINE):
        if line.startswith("FROM "):
            _, _, name = line.partition(" AS ")
            made[name] = []
        made[name].append(line)
    return made


def test_the_image_is_pinned_and_runs_as_nobody() -> None:
    first, *others = [lines[0] for lines in stages().values()]
    assert re.fullmatch(r"FROM python:3\.\d+\.\d+-slim-\w+ AS base", first)
    assert {line.split()[1] for line in others} == {"base"}
    assert "USER 65532:65532" in stages()[""]
    assert "WORKDIR /app" in stages()[""]


def test_nothing_is_installed_fetched_or_compiled_in_the_stage_that_becomes_the_image() -> None:
    assert [line for line in stages()[""] if line.startswith(("RUN ", "ADD "))] == []


def test_every_stage_but_the_last_hands_something_over() -> None:
    copied = {line.split()[1].removeprefix("--from=") for line in stages()[""] if line.startswith("COPY --from=")}
    assert copied == stages().keys() - {"base", ""}


def test_what_a_stage_copies_from_the_context_is_there_and_not_ignored() -> None:
    ignored = (WEB_UI / ".dockerignore").read_text().splitlines()
    plain = [line.split()[1] for lines in stages().values() for line in lines if re.match(r"COPY [^-]", line)]
    assert "make_test_images.py" in plain
    assert [name for name in plain if not (WEB_UI / name).exists() or name in ignored] == []


def test_bytecode_is_made_once_and_counts_whatever_the_dates_are() -> None:
    made = " ".join(line for lines in stages().values() for line in lines)
    assert made.count("--no-compile") == made.count("pip install") == 1
    assert made.count("compileall") == made.count("--invalidation-mode=unchecked-hash") == 2  # packages, and our own
