"""A preflight tries what a training does to its bucket, and names the step and the role when it may not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trainer import files, preflight
from trainer.quiet import load_tensorflow

ROOT = Path(__file__).resolve().parents[2]
STEPS = ["find", "write", "read", "list", "delete"]
FUNCTIONS = {"write": "write", "read": "read", "list": "names_in", "delete": "remove"}
"""What of `trainer.files` a step calls."""


@pytest.fixture
def bucket() -> Iterator[str]:
    """A bucket in memory, which goes through TensorFlow as gs:// does."""
    load_tensorflow()
    import tensorflow as tf

    tf.io.gfile.makedirs("ram://bucket")
    yield "ram://bucket"
    tf.io.gfile.rmtree("ram://bucket")


def refuse(monkeypatch: pytest.MonkeyPatch, step: str, error: str = "PermissionDeniedError") -> None:
    """Have one step end as TensorFlow ends it where Cloud Storage answers no."""
    import tensorflow as tf

    def refusing(path: str, *_: Any) -> None:
        with files.saying(f"use {path}"):
            raise getattr(tf.errors, error)(None, None, "Error executing an HTTP request: HTTP response code 403")

    monkeypatch.setattr(files, FUNCTIONS[step], refusing)


@pytest.mark.parametrize("place", ["ram://bucket", "ram://bucket/with/prefix"])
def test_each_step_is_told_with_its_seconds(bucket: str, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.main([place]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == STEPS
    assert all(re.fullmatch(r"[a-z]+: [0-9]+\.[0-9]{2} s", line) for line in lines)


def test_nothing_is_left_behind_in_a_bucket(bucket: str) -> None:
    preflight.main([bucket])
    assert files.names_in(bucket) == []


def test_nothing_is_left_behind_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("before")
    assert preflight.main([str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


@pytest.mark.parametrize("step", FUNCTIONS)
def test_a_refusal_names_the_step_and_the_role(
    bucket: str, step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch, step)
    assert preflight.main([bucket]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"preflight, {step}: Could not use ram://bucket")
    assert said.err.endswith("403. The workload's account probably lacks roles/storage.objectUser on the bucket.\n")
    assert len(said.out.splitlines()) == STEPS.index(step)


def test_a_fault_that_is_no_refusal_names_no_role(
    bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch, "write", "NotFoundError")
    assert preflight.main([bucket]) == 1
    assert "roles/" not in capsys.readouterr().err


def test_an_object_that_reads_back_as_something_else_is_a_failure(
    bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "read", lambda path: b"else")
    assert preflight.main([bucket]) == 1
    assert re.fullmatch(r"preflight, read: \S+ reads back as something else\.\n", capsys.readouterr().err)


def test_an_object_that_is_not_listed_is_a_failure(
    bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "names_in", lambda folder: [])
    assert preflight.main([bucket]) == 1
    assert re.fullmatch(r"preflight, list: \S+ was written and is not listed\.\n", capsys.readouterr().err)


@pytest.mark.parametrize("argv", [[], [""], ["a", "b"], ["--help"]])
def test_anything_but_one_place_is_a_mistake_in_what_was_asked(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert preflight.main(argv) == 2
    assert "python -m trainer.preflight gs://BUCKET" in capsys.readouterr().err


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_place_that_cannot_be_written_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("-m", "trainer.preflight", str(tmp_path / "file"))
    assert done.returncode == 1
    assert re.fullmatch(r"preflight, write: Could not write \S+: .+\.\n", done.stderr)


def test_fault_42_a_step_without_an_answer_ends_with_the_process() -> None:
    code = "import time; from trainer import files, preflight; files.write = lambda *_: time.sleep(50); "
    done = run("-c", f"{code} preflight.main(['/nowhere'], limit=0.2)")
    assert done.returncode == 1
    assert done.stderr == "preflight, write: no answer from /nowhere within 0 s.\n"


@pytest.mark.parametrize("tensorflow", ["tensorflow-cpu", "tensorflow[and-cuda]"])
def test_the_images_build_argument_chooses_the_same_release_for_cpus_or_gpus(tensorflow: str, tmp_path: Path) -> None:
    (tmp_path / "trainer").mkdir()
    requirements = tmp_path / "trainer" / "requirements.txt"
    requirements.write_text((ROOT / "trainer" / "requirements.txt").read_text())
    (command,) = re.findall(r"^RUN (sed .*?) \\$", (ROOT / "trainer" / "Dockerfile").read_text(), re.MULTILINE)
    environment = {"TENSORFLOW": tensorflow, "PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, check=True)
    version = re.findall(r"^tensorflow-cpu(==\S+)", (ROOT / "trainer" / "requirements.txt").read_text(), re.MULTILINE)
    assert f"\n{tensorflow}{version[0]}" in requirements.read_text()
