"""LitServe with one worker; its queue of ZeroMQ, which it calls fast, is the quicker of its two here."""

import sys
from typing import Any

import litserve
from onnx_session import Network


class Digits(litserve.LitAPI):
    """The network as LitServe wants it."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def setup(self, device: str) -> None:
        """Load the network in the worker's process."""
        self._network = Network(self._path)

    def decode_request(self, request: dict[str, Any]) -> list[list[float]]:
        """Take the images out of {"instances": [[784 floats], …]}."""
        return request["instances"]

    def predict(self, x: list[list[float]]) -> list[list[float]]:
        """Give ten probabilities an image."""
        return self._network(x).tolist()

    def encode_response(self, output: list[list[float]]) -> dict[str, Any]:
        """Answer as the V1 protocol does."""
        return {"predictions": output}


if __name__ == "__main__":
    path, port = sys.argv[1:]
    server = litserve.LitServer(Digits(path), accelerator="cpu", workers_per_device=1, fast_queue=True)
    server.run("127.0.0.1", int(port), num_api_servers=1, log_level="warning", generate_client_file=False)
