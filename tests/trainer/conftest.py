"""The trainer as a real process, and small parts of it for tests that need no process."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.cloud import Cloud
from trainer.__main__ import main
from trainer.data import Dataset, Split

ROOT = Path(__file__).resolve().parents[2]


class TrainerProcess:
    """Runs `python -m trainer` on the digits with a linear model, unless told otherwise."""

    small = ("--tf-dataset=digits", "--tf-model-type=linear", "--tf-optimizer=adam", "--tf-batch-size=32")

    def __init__(self, folder: Path) -> None:
        self.folder, self.bucket = folder, folder / "bucket"
        self.export = self.bucket / "export"

    def argv(self, *flags: str, tag: str = "100") -> list[str]:
        """The same tag means the same checkpoints and the same version, as in the pipeline."""
        places = (
            f"--tf-model-dir={self.bucket / tag}",
            f"--tf-export-dir={self.export}",
            f"--tf-version-tag={tag}",
        )
        return [sys.executable, "-m", "trainer", *self.small, *places, *flags]

    def env(self, **extra: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "MNIST_"))}
        return kept | extra

    def run(self, *flags: str, code: int = 0, tag: str = "100", **env: str) -> str:
        """Run to the end, check the exit code, and give all that was printed."""
        return self.run_argv(self.argv(*flags, tag=tag), code, **env)

    def run_argv(self, argv: list[str], code: int, **env: str) -> str:
        done = subprocess.run(
            argv, cwd=ROOT, env=self.env(**env), capture_output=True, text=True, timeout=120, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, f"exit code {done.returncode}, not {code}:\n{said}"
        assert "Traceback" not in said, said
        return said

    def run_here(self, *flags: str, code: int = 0, tag: str = "100") -> str:
        """Do what `run` does within this process, where TensorFlow is loaded already: 3 s less."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            assert main(self.argv(*flags, tag=tag)[3:]) == code, said.getvalue()
        return said.getvalue()

    def start(self, *flags: str, tag: str = "100") -> subprocess.Popen[str]:
        """Start and come back at once; the process leads a group of its own."""
        return subprocess.Popen(
            self.argv(*flags, tag=tag), cwd=ROOT, env=self.env(), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def checkpoints(self, tag: str = "100") -> list[str]:
        """Names of the checkpoints, oldest first; a name tells step and content."""
        return sorted(path.name for path in (self.bucket / tag).glob("checkpoint-*"))


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read a process's output up to the first line that holds `text`."""
    lines = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"{text!r} was never printed:\n{''.join(lines)}")


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainerProcess]:
    """A trainer with a bucket of its own; pytest gets its signal handlers back afterwards."""
    for name in [name for name in os.environ if name.startswith(("TF_", "MNIST_"))]:
        monkeypatch.delenv(name)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield TrainerProcess(tmp_path)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def dataset() -> Dataset:
    """A data set that is quick to learn: the label is where the stroke stands."""
    labels = np.arange(200, dtype=np.uint8) % 10
    images = np.zeros((200, 28, 28), np.uint8)
    images[np.arange(200), 4:24, 2 * labels + 4] = 255
    return Dataset("strokes", False, "a test", Split(images[:150], labels[:150]), Split(images[150:], labels[150:]))


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """A Cloud Storage with the bucket `b-one`; every request must have been one that it knows."""
    made = Cloud(tmp_path, "b-one")
    yield made
    made.close()
    assert made.state.unknown == []
