"""Model servers that one fake cloud after another has: TensorFlow's start takes each of them seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, free_ports


class ModelServer:
    """A real server with a gRPC port and a REST port; it starts with the first folder that it is to serve."""

    idle: list[ModelServer] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.grpc, self.rest = free_ports(2)
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def taken(cls) -> ModelServer:
        """One that nobody has."""
        return cls.idle.pop() if cls.idle else cls()

    def serve(self, folder: Path) -> None:
        """Serve the versions in a folder, and look there every second."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "serving", f"--port={self.grpc}", f"--rest_api_port={self.rest}",
                 "--model_name=mnist", f"--model_base_path={folder}", "--file_system_poll_wait_seconds=1",
                 "--enable_grpc_healthcheck_service=true"],
                cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ),
            )  # fmt: skip
        else:
            self.reload(folder)

    def give_back(self) -> None:
        """Unload everything; the next cloud may have it."""
        if self.process is None or self.reload():
            self.idle.append(self)
        else:
            self.end()

    def reload(self, *folders: Path) -> bool:
        """Serve what is in these folders, one or none; whether the server answers at all."""
        import grpc
        from tensorflow_serving.apis.model_management_pb2 import ReloadConfigRequest
        from tensorflow_serving.apis.model_service_pb2_grpc import ModelServiceStub

        request = ReloadConfigRequest()
        request.config.model_config_list.SetInParent()
        for folder in folders:
            request.config.model_config_list.config.add(
                name="mnist", base_path=str(folder), model_platform="tensorflow"
            )
        try:
            with grpc.insecure_channel(f"127.0.0.1:{self.grpc}") as channel:
                ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=20, wait_for_ready=True)
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
