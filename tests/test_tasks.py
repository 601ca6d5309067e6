"""tasks.py as a user meets it: the list, and the help of every task."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ASKED = [
    "deploy",
    "build",
    "train",
    "serve",
    "promote",
    "rollback",
    "ui",
    "all",
    "tune",
    "plan",
    "doctor",
    "status",
    "logs",
    "predict",
    "smoke",
    "models",
    "open",
    "tensorboard",
    "notebook",
    "dashboard",
    "render",
    "config",
    "clean",
    "bench",
    "test",
]


def invoke(*words: str) -> str:
    argv = [sys.executable, "-m", "invoke", *words]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def listed() -> dict[str, str]:
    tasks = json.loads(invoke("--list", "--list-format=json"))["tasks"]
    return {task["name"]: task["help"] for task in tasks}


def test_every_task_is_listed_with_one_clean_line() -> None:
    assert set(ASKED) <= set(listed())
    for name, text in listed().items():
        assert re.fullmatch(r"[A-Z].{8,58}\.", text), f"{name}: {text}"


def test_the_list_is_in_the_order_of_use() -> None:
    names = re.findall(r"^  (\w+) ", invoke("--list"), re.MULTILINE)
    assert [name for name in names if name in ASKED] == ASKED


EXPLAINED = ["build", "train", "promote", "tune", "plan", "logs", "predict", "smoke", "models", "open", "notebook",
             "render", "config", "clean", "bench", "test"]  # fmt: skip
"""The tasks that take options."""


def explained(name: str) -> list[str]:
    """A task's options as its help has them, each in one line however it was wrapped."""
    text = invoke(name, "--help").split("Options:")[1].strip()
    return [" ".join(option.split()) for option in re.split(r"\n  (?=-)", text)]


@pytest.mark.parametrize("name", EXPLAINED)
def test_every_option_of_a_task_is_explained_in_a_sentence(name: str) -> None:
    for option in explained(name):
        assert re.fullmatch(r"-\w,? .*?--[\w\[\]-]+(=\w+)? [A-Z].{6,}\.", option), option


@pytest.mark.parametrize("name", [name for name in ASKED if name not in EXPLAINED])
def test_the_other_tasks_take_no_option(name: str) -> None:
    assert explained(name) == ["none"]


@pytest.mark.parametrize(("name", "option"), [("train", "--tag"), ("logs", "--follow"), ("clean", "--yes-i-mean")])
def test_completion_knows_a_tasks_options(name: str, option: str) -> None:
    assert option in invoke("--complete", "--", f"invoke {name} --").split()
