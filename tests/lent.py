"""Model servers that one fake cloud after another has: TensorFlow's start takes each of them seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, free_ports

NOTHING = "model_config_list {}"
"""What a server is told that is to serve no model."""


class ModelServer:
    """A real server with a gRPC port and a REST port; its start is for whoever knows that it will be needed soon."""

    idle: list[ModelServer] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.grpc, self.rest = free_ports(2)
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def taken(cls) -> ModelServer:
        """One that nobody has."""
        return cls.idle.pop() if cls.idle else cls()

    def start(self, folder: Path) -> None:
        """Start it on a folder, where it looks every second, unless it runs."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serving", f"--port={self.grpc}", f"--rest_api_port={self.rest}",
                 "--model_name=mnist", f"--model_base_path={folder}", "--file_system_poll_wait_seconds=1",
                 "--enable_grpc_healthcheck_service=true", "--allow_version_labels_for_unavailable_models=true"],
                cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ),
            )  # fmt: skip

    def give_back(self) -> None:
        """Unload everything; the next cloud may have it."""
        if self.process is None or self.follow(NOTHING):
            self.idle.append(self)
        else:
            self.end()

    def follow(self, text: str) -> bool:
        """Serve what a ModelServerConfig in protobuf's text form says; whether the server answers at all."""
        import grpc
        from google.protobuf import text_format

        from serving.messages import ReloadConfigRequest

        request = ReloadConfigRequest()
        text_format.Parse(text, request.config)
        try:
            with grpc.insecure_channel(f"127.0.0.1:{self.grpc}") as channel:
                call = channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
                call(request.SerializeToString(), timeout=20, wait_for_ready=True)
        except grpc.RpcError:
            return False
        return True

    def end(self) -> None:
        """Kill it."""
        if self.process:
            self.process.kill()
            self.process.wait()


def end_all() -> None:
    """End those that wait for a cloud: the tests are over."""
    while ModelServer.idle:
        ModelServer.idle.pop().end()
