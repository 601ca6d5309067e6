"""The model that all servers serve: trained and exported once a benchmark, and handed to the peers as an ONNX file."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from pipeline.bench import venvs
from pipeline.bench.contestants import TAG, chief, moved
from pipeline.clusters.pods import Process
from pipeline.errors import PipelineError, RunFailed
from pipeline.execution import say
from pipeline.processes import environment, run
from pipeline.settings import ROOT, Settings

SCRIPTS = ROOT / "bench" / "servers"

LIMIT = 600.0
"""Seconds that the training may take."""

COPY = ("assets.extra/model.tflite", "assets.extra/litert.json")
"""The LiteRT copy of a version, where it has one."""

CONVERTER, NEEDED = "onnx", ("onnx==1.23.2", "onnxruntime==1.32.0", "numpy==2.4.6")


@dataclass(frozen=True)
class Model:
    """A bucket with one version, what that sees in its test images, and the same network as an ONNX file."""

    folder: Path

    @property
    def version(self) -> Path:
        return self.folder / "export" / TAG

    @property
    def served(self) -> Path:
        """Arrays: `images` uint8 [N, 784], `predictions` float32 [N, 10], the weights."""
        return self.folder / "served.npz"

    @property
    def network(self) -> Path:
        return self.folder / "network.onnx"

    @property
    def has_copy(self) -> bool:
        """Whether the version has a LiteRT copy of the model."""
        return (self.version / COPY[0]).exists()

    def plain(self) -> Model:
        """The same version without its LiteRT copy, in a bucket beside; TensorFlow has to serve it."""
        other = Model(self.folder / "plain")
        if not other.version.exists():
            shutil.copytree(self.version, other.version)
            for name in COPY:
                (other.version / name).unlink(missing_ok=True)
            listed = json.loads((other.version / "checksums.json").read_text())
            listed["files"] = {name: one for name, one in listed["files"].items() if name not in COPY}
            (other.version / "checksums.json").write_text(json.dumps(listed))
        return other


def refuse_others(settings: Settings) -> None:
    """Raises PipelineError for a model that the peers cannot be given."""
    if settings.training.model != "fast":
        named = f"training.model={settings.training.model}"
        raise PipelineError(f"{named}: the peers' network is written for the model fast; leave that setting out")


def training(settings: Settings, folder: Path, mnist: Path | None) -> Process:
    """The trainer as `invoke train` starts it, and behind it, in the same process, a look at what it has exported.

    `mnist` is the folder with MNIST's files; None is a training of moments on the digits that come with scikit-learn.
    """
    changes, dataset = ({}, "mnist") if mnist else ({"steps": 20}, "digits")
    given = chief(moved(settings, folder, changes, dataset), folder)
    flags = given.argv[given.argv.index("trainer") + 1 :]
    argv = (sys.executable, str(SCRIPTS / "served.py"), str(folder), str(Model(folder).version), *flags)
    return Process(argv, {**given.env, **({"MNIST_DIR": str(mnist)} if mnist else {})}, given.cwd, "")


def made(settings: Settings, folder: Path, build: Path, mnist: Path | None) -> Model:
    """Train the model into an empty folder; raises RunFailed with the trainer's last words."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say("train what is to be served")
    process = training(settings, folder, mnist)
    done = run(process.argv, environment(build, process.env), Path(process.cwd), LIMIT)
    if done.timed_out or done.code:
        raise RunFailed(f"the training ended with {done.code}: {last(done.stderr or done.stdout)}")
    return Model(folder)


def converted(model: Model, build: Path) -> dict[str, str]:
    """Write the peers' ONNX file and show that it sees the same; gives the versions of what did that."""
    python = venvs.python_of(CONVERTER, NEEDED, build, say, SCRIPTS / f"{CONVERTER}.txt")
    done = run((python, str(SCRIPTS / "onnx_network.py"), str(model.folder)), environment(build), model.folder, LIMIT)
    if done.timed_out or done.code:
        raise RunFailed(f"no ONNX file: {last(done.stderr or done.stdout)}")
    told = json.loads(last(done.stdout))
    say(f"the ONNX file's probabilities are within {told['apart']:.1g} of TensorFlow's on {told['images']} test images")
    return dict(told["versions"])


def last(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
