"""Who takes part in `invoke bench serve`: the bare echo, our server as `local` starts it, and servers of others."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline import manifests
from pipeline.bench.contestants import TAG
from pipeline.bench.model import SCRIPTS, Model
from pipeline.bench.wire import MODEL
from pipeline.clusters.objects import Objects
from pipeline.clusters.pods import EMBEDDED, Process, process
from pipeline.processes import free_port
from pipeline.settings import ROOT, Settings

BINARY = "/usr/bin/tensorflow_model_server"

ECHO, OURS, TENSORFLOW, REST = "bare gRPC echo", "ours", "ours, TensorFlow", "ours, REST"

REAL = "tensorflow_model_server"

RUNTIME = "onnxruntime==1.32.0"


Prepare = Callable[[Model, Path, int, str], Process]


@dataclass(frozen=True)
class Server:
    """One row of the table. `prepare` takes (model, empty folder, port, python); `way` is one of wire.WAYS."""

    name: str
    way: str
    prepare: Prepare
    environment: str = ""
    requirements: tuple[str, ...] = ()

    @property
    def constraints(self) -> Path:
        """The versions of everything that its environment has."""
        return SCRIPTS / f"{self.environment}.txt"


def entered(settings: Settings, quick: bool) -> list[Server]:
    """Everybody; with `quick` those that need no installation and no other copy of the model."""
    floor, ours = Server(ECHO, "echo", echo), Server(OURS, "grpc", started(settings, "grpc"))
    if quick:
        return [floor, ours]
    plain = Server(TENSORFLOW, "grpc", started(settings, "grpc", plain=True))
    real = [Server(REAL, "grpc", started(settings, "grpc", binary=True))] if Path(BINARY).exists() else []
    return [floor, ours, plain, Server(REST, "rest", started(settings, "rest")), *real, *PEERS]


def started(settings: Settings, way: str, plain: bool = False, binary: bool = False) -> Prepare:
    """The process that `local` starts for the Deployment: the embedded server, or the binary that it stands in for.

    `plain` takes the version without its LiteRT copy.
    """

    def prepare(model: Model, folder: Path, port: int, python: str) -> Process:
        ports = dict(zip(("grpc_port", "rest_port"), order(way, port), strict=True))
        serving = settings.serving.model_copy(update={"model_name": MODEL, **ports})
        bucket = str((model.plain() if plain else model).folder)
        storage = settings.storage.model_copy(update={"kind": "folder", "bucket": bucket})
        made = settings.model_copy(update={"serving": serving, "storage": storage})
        found = container(manifests.render(made, "serving", TAG), folder)
        embedded = EMBEDDED[BINARY]
        flags = [one for one in found.argv if one.startswith("--") and one not in embedded]
        program = (BINARY,) if binary else (sys.executable, "-m", *embedded)
        return Process((*program, *flags), found.env, str(ROOT), "")

    return prepare


def container(rendered: list[manifests.Manifest], folder: Path) -> Process:
    """The process of a rendered Deployment, its ConfigMaps written below a folder."""
    objects = Objects(folder / "objects")
    for one in rendered:
        objects.put(one)
    deployment = next(one for one in rendered if one["kind"] == "Deployment")
    return process(deployment["spec"]["template"]["spec"], "bench", folder / "volumes", objects)


def order(way: str, port: int) -> tuple[int, int]:
    """The gRPC port and the REST port: the given one is the one that is asked."""
    return (port, free_port()) if way == "grpc" else (free_port(), port)


def echo(model: Model, folder: Path, port: int, python: str) -> Process:
    return Process((sys.executable, str(SCRIPTS / "echo_server.py"), str(port)), {}, str(folder), "")


def kserve(model: Model, folder: Path, port: int, python: str) -> Process:
    quiet = ("--enable_grpc=false", "--enable_latency_logging=false", "--configure_logging=false")
    argv = (python, str(SCRIPTS / "kserve_server.py"), str(model.network), f"--http_port={port}", *quiet)
    return Process(argv, {}, str(folder), "")


def mlserver(model: Model, folder: Path, port: int, python: str) -> Process:
    server = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_endpoint": None,
              "parallel_workers": 0, "debug": False, "gzip_enabled": False}  # fmt: skip
    served = {"name": MODEL, "implementation": "mlserver_runtime.Digits", "parameters": {"uri": str(model.network)}}
    (folder / "settings.json").write_text(json.dumps(server))
    (folder / "model-settings.json").write_text(json.dumps(served))
    argv = (python, str(Path(python).with_name("mlserver")), "start", str(folder))
    return Process(argv, {"PYTHONPATH": str(SCRIPTS)}, str(folder), "")


def litserve(model: Model, folder: Path, port: int, python: str) -> Process:
    return Process((python, str(SCRIPTS / "litserve_server.py"), str(model.network), str(port)), {}, str(folder), "")


def bentoml(model: Model, folder: Path, port: int, python: str) -> Process:
    where = ("--working-dir", str(SCRIPTS), "--host", "127.0.0.1", "--port", str(port))
    argv = (python, str(Path(python).with_name("bentoml")), "serve", "bentoml_service:Digits", *where)
    told = {"NETWORK": str(model.network), "BENTOML_HOME": str(folder), "BENTOML_DO_NOT_TRACK": "True"}
    return Process(argv, told, str(folder), "")


PEERS = (
    Server("KServe", "v1", kserve, "kserve", ("kserve==0.21.0", RUNTIME)),
    Server("MLServer", "v2", mlserver, "mlserver", ("mlserver==1.7.1", RUNTIME)),
    Server("LitServe", "predict", litserve, "litserve", ("litserve==0.2.19", RUNTIME)),
    Server("BentoML", "predict", bentoml, "bentoml", ("bentoml==1.4.39", RUNTIME)),
)
"""One worker each, on the same network in ONNX Runtime."""
