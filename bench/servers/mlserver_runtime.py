"""An MLServer runtime of one's own, without worker processes beside the server; `mlserver start` starts it."""

from __future__ import annotations

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from onnx_session import Network


class Digits(MLModel):
    """The network as an MLServer model."""

    async def load(self) -> bool:
        """Load the network."""
        self._network = Network(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer the V2 protocol's input `x` [N, 784] with its output `predictions` [N, 10]."""
        images = NumpyCodec.decode_input(payload.inputs[0])
        predictions = NumpyCodec.encode_output("predictions", self._network(images))
        return InferenceResponse(model_name=self.name, outputs=[predictions])
