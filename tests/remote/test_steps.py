"""The same steps in the same order give the same answers here and there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import ROOT
from fakes.sshd import Sshd
from pipeline.commands import Command, Remove, Result, Steps, Upload, Write
from pipeline.config import load
from pipeline.execution import execute
from pipeline.hands import Hands, Here, of, over
from pipeline.there import There
from tests.remote.machine import shell


def stage(root: Path) -> Steps:
    """A small stage with every kind of step that hands carry out."""
    changed = yield Write(root / "build" / "staging" / "a.yaml", "kind: List\n")
    again = yield Write(root / "build" / "staging" / "a.yaml", "kind: List\n")
    yield Write(root / "build" / "staging" / "key", "secret", private=True)
    yield Upload(root / "context")
    lines = yield Command(("sh", "-c", f"wc -l < {root}/build/staging/a.yaml"), "count", kind="ask", parse="text")
    found = yield Command(("ls", f"{root}/context"), "list", parse="text")
    absent = yield Command(("cat", f"{root}/absent"), "look", kind="ask", absent="No such file")
    code, _ = yield Command(("sh", "-c", "exit 1"), "compare", kind="ask", codes=(0, 1))
    answer = yield Command(("echo", '{"a": [1]}'), "ask", kind="ask", parse="json")
    yield Remove(root / "build" / "staging" / "key")
    left = yield Command(("ls", f"{root}/build/staging"), "list", kind="ask", parse="text")
    yield Result(f"{changed} {again} {lines} {found.split()} {absent} {code} {answer} {left.split()}")


def test_the_same_steps_run_in_the_same_order_with_the_same_answers_here_and_there(there: There, root: Path) -> None:
    (root / "context").mkdir()
    (root / "context" / "Dockerfile").write_text("FROM scratch")
    outcomes = []
    for hands in (Here(root / "build" / "staging"), there):
        shown: list[str] = []
        outcome = execute(stage(root), root / "build" / "staging", shown.append, hands)
        outcomes.append((outcome.text, outcome.changed, shown))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] == "True False 1 ['Dockerfile'] None 1 {'a': [1]} ['a.yaml']"


def test_neither_listing_nor_working_here_imports_fabric() -> None:
    text = "import sys, tasks, pipeline.there; sys.exit(bool({'fabric', 'paramiko'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", text], cwd=ROOT, check=False).returncode == 0


def test_an_environment_with_a_host_has_one_connection_however_often_it_is_asked_for(server: Sshd) -> None:
    settings = load("staging", [f"host={server.host}"]).settings
    try:
        assert of(settings) is of(settings)
        assert isinstance(of(settings), There)
    finally:
        over.cache_clear()


def test_an_environment_without_a_host_runs_here() -> None:
    assert isinstance(of(load("staging").settings), Here)


def test_hands_are_a_with_block_on_either_machine(there: There, root: Path) -> None:
    hands: Hands
    for hands in (Here(root / "build" / "staging"), there):
        with hands as opened:
            assert opened.run(shell("echo x"), None).stdout == "x\n"
    assert there.connection is None
