"""The whole thing for the browser's tests: the embedded model server with a trained model, and the UI before it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.web_ui.conftest import Ui, environment, free_port, running_ui, wait_until

REPO = Path(__file__).resolve().parents[2]
VERSION = 1763900000
FLAGS = ("--tf-dataset=mnist", "--tf-model-type=fast", "--tf-batch-size=64", "--tf-learning-rate=0.08",
         "--tf-optimizer=nesterov", "--tf-schedule=one-cycle", "--tf-augment-pixels=1")  # fmt: skip
STEPS = 938  # one of `local`'s three passes: 98.8 % in 4 s


def train(folder: Path, mnist: str) -> Path:
    """Train on MNIST as `local` does, but shorter, unless it was done; return the version's folder."""
    version = folder / "export" / str(VERSION)
    if not version.exists():
        places = (f"--tf-model-dir={folder / 'checkpoints'}", f"--tf-export-dir={folder / 'export'}")
        argv = [sys.executable, "-m", "trainer", *FLAGS, *places, f"--tf-train-steps={STEPS}"]
        done = subprocess.run(
            [*argv, f"--tf-version-tag={VERSION}"], cwd=REPO, env=environment(MNIST_DIR=mnist), capture_output=True,
            text=True, timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    return version


@dataclass
class ModelServer:
    """`python -m serving` on ports that stay its own, with versions that are copies of one trained model."""

    folder: Path
    model: Path
    port: int = field(default_factory=free_port)
    rest_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def versions(self) -> Path:
        return self.folder / "export"

    def publish(self, version: int) -> None:
        """Put a version where the server looks, whole at once as the trainer does."""
        if not (self.versions / str(version)).exists():
            shutil.copytree(self.model, self.versions / f"{version}.partial-1").rename(self.versions / str(version))

    def serve(self, *versions: int) -> None:
        """Have exactly these versions served, which are published first; wait until they are."""
        for version in versions:
            self.publish(version)
        policy = " ".join(f"versions: {version}" for version in versions)
        written = self.folder / "models.new"
        written.write_text(
            f'model_config_list {{ config {{ name: "mnist" base_path: "{self.versions}" model_platform: "tensorflow" '
            f"model_version_policy {{ specific {{ {policy} }} }} }} }}\n"
        )
        written.rename(self.folder / "models.config")
        if self.process is None:
            self.start()
        wait_until(lambda: self.answering() == set(versions), 30, self.log)

    def start(self) -> None:
        flags = (f"--port={self.port}", f"--rest_api_port={self.rest_port}", "--file_system_poll_wait_seconds=1")
        config = (f"--model_config_file={self.folder / 'models.config'}", "--model_config_file_poll_wait_seconds=1")
        with (self.folder / "serving.log").open("ab") as log:
            argv = [sys.executable, "-m", "serving", *flags, *config]
            self.process = subprocess.Popen(argv, cwd=REPO, env=environment(), stdout=log, stderr=log)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def answering(self) -> set[int]:
        """The versions that answer; none while the server does not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port}/v1/models/mnist", timeout=5) as reply:
                told = json.load(reply)["model_version_status"]
        except OSError:
            return set()
        return {int(one["version"]) for one in told if one["state"] == "AVAILABLE"}

    def log(self) -> str:
        return (self.folder / "serving.log").read_text()


@dataclass
class Stack:
    """One UI and one model server, and a port that is allowed and dead."""

    ui: Ui
    server: ModelServer
    dead_port: int

    @property
    def url(self) -> str:
        return self.ui.url


@contextlib.contextmanager
def running_stack(folder: Path, model: Path) -> Iterator[Stack]:
    """Start both, connected with each other; end both."""
    server, dead = ModelServer(folder, model), free_port()
    server.versions.mkdir()
    try:
        server.serve(VERSION)
        with running_ui(
            folder / "ui.log",
            MODEL_SERVER_ADDRESS="127.0.0.1",
            MODEL_SERVER_PORT=server.port,
            MODEL_BASE_PATH=server.versions,
            ALLOWED_MODEL_SERVERS=f"127.0.0.1:{server.port},127.0.0.1:{dead}",
        ) as ui:
            yield Stack(ui, server, dead)
    finally:
        server.stop(signal.SIGKILL)


def is_mnist() -> bool:
    """Whether this machine has the real MNIST, so that a model can be good enough to read handwriting."""
    return bool(os.environ.get("MNIST_DIR"))
