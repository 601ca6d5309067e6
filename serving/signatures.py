"""A signature as plain Python: a request looks into it several times, and a look into protobuf's maps takes 1 µs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from serving.messages import SignatureDef, TensorInfo, TensorProto


@dataclass(frozen=True)
class Signature:
    """What a SavedModel says of one signature, everything by alias and in the aliases' order."""

    message: SignatureDef
    inputs: Mapping[str, TensorInfo]
    outputs: Mapping[str, TensorInfo]
    defaults: Mapping[str, TensorProto]

    @classmethod
    def of(cls, message: SignatureDef) -> Signature:
        """The signature that this message describes."""
        return cls(message, *(dict(sorted(one.items())) for one in (message.inputs, message.outputs, message.defaults)))
