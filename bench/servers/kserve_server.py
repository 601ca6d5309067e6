"""KServe's Python server with a model of one's own, asked over its V1 protocol."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import kserve
from onnx_session import Network


class Digits(kserve.Model):
    """The network as a KServe model named `mnist`."""

    def __init__(self, path: str) -> None:
        super().__init__("mnist")
        self._network = Network(path)
        self.ready = True

    async def predict(self, payload: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Answer {"instances": [[784 floats], …]} with {"predictions": [[10 floats], …]}."""
        return {"predictions": self._network(payload["instances"]).tolist()}


if __name__ == "__main__":
    path, *_ = sys.argv[1:]  # the rest are flags, which KServe itself reads
    kserve.ModelServer().start([Digits(path)])
