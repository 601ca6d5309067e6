"""A BentoML service with one worker; `bentoml serve` starts it."""

from __future__ import annotations

import os
from typing import Any

import bentoml
from onnx_session import Network


@bentoml.service(name="mnist", workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Digits:
    """The network as a BentoML service."""

    def __init__(self) -> None:
        self._network = Network(os.environ["NETWORK"])

    @bentoml.api
    async def predict(self, instances: list) -> dict[str, Any]:
        """Answer {"instances": [[784 floats], …]} with {"predictions": [[10 floats], …]}."""
        return {"predictions": self._network(instances).tolist()}
