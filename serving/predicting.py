"""One Predict request: what the model is asked, and what it answers, in TensorFlow Serving's words.

C++ files named here are those of the repositories tensorflow/serving and tensorflow/tensorflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

import numpy as np

from serving.errors import Code, ServingError, invalid
from serving.handlers import DEFAULT_SIGNATURE, fill_spec
from serving.messages import PredictRequest, PredictResponse
from serving.models import Servable
from serving.signatures import Signature
from serving.tensors import fill, name_of, to_array


def rows(request: PredictRequest) -> int:
    """How many rows a Predict request has: the first size of the largest of its tensors; 1 where none has any."""
    return max((dim[0].size for one in request.inputs.values() if (dim := one.tensor_shape.dim)), default=1)


class Call(NamedTuple):
    """A Predict request, checked: the signature, the arrays by alias, the outputs that come back."""

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: list[str]


class Answer(NamedTuple):
    """Which version answers by which signature, and its outputs by alias; each protocol writes them its own way."""

    servable: Servable
    signature: str
    outputs: dict[str, np.ndarray]


def predict(servable: Servable, request: PredictRequest) -> Answer:
    """PredictionService.Predict (servables/tensorflow/predict_impl.cc and predict_util.cc)."""
    call = checked(servable, request)
    return answer(servable, call, servable.model.predict(call.inputs, call.signature, call.outputs))


def checked(servable: Servable, request: PredictRequest) -> Call:
    """What the model is asked; ServingError where it cannot be asked that."""
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.model.signatures.get(name)
    if signature is None or name.startswith("__"):
        raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    return Call(name, _inputs(signature, request), _outputs(signature, request.output_filter))


def answer(servable: Servable, call: Call, outputs: Mapping[str, np.ndarray]) -> Answer:
    """The outputs that were asked for."""
    return Answer(servable, call.signature, {alias: np.asarray(outputs[alias]) for alias in call.outputs})


def response(answer: Answer) -> PredictResponse:
    """The answer as gRPC sends it."""
    made = PredictResponse()
    for alias, array in answer.outputs.items():
        fill(made.outputs[alias], array)
    fill_spec(made.model_spec, answer.servable, answer.signature)
    return made


def _inputs(signature: Signature, request: PredictRequest) -> dict[str, np.ndarray]:
    """The request's tensors by alias, checked (predict_util.cc and tensorflow/cc/saved_model/util.cc)."""
    sent = set(request.inputs)
    _check_count(signature, sent)
    inputs = {}
    for index, (alias, info) in enumerate(signature.inputs.items()):
        tensor = request.inputs.get(alias, signature.defaults.get(alias))
        if tensor is None:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no default "
                f"value provided. Inputs expected to be in the request {{{_join(sent)}}}, "
                f"or default input alias set: {_join(signature.defaults)}"
            )
        inputs[alias] = to_array(alias, tensor)
        if tensor.dtype != info.dtype:  # tensorflow/core/framework/function.cc, FunctionCallFrame::SetArgs
            raise invalid(f"Expects arg[{index}] to be {name_of(info.dtype)} but {name_of(tensor.dtype)} is provided")
    if not sent <= inputs.keys():
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {_join(sent & inputs.keys())}, "
            f"request input: {_join(sent)}"
        )
    return inputs


def _check_count(signature: Signature, sent: Set[str]) -> None:
    expected = signature.inputs.keys()
    if len(sent) > len(expected) or (len(sent) < len(expected) and not signature.defaults):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} len({{{_join(sent)}}}) != "
            f"len({{{_join(expected)}}}). Sent extra: {{{_join(sent - expected)}}}. "
            f"Missing but required: {{{_join(expected - sent)}}}."
        )


def _outputs(signature: Signature, wanted: Iterable[str]) -> list[str]:
    seen: list[str] = []
    for alias in wanted:
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{_join(signature.outputs)}}}."
            )
        if alias in seen:
            raise invalid(f"duplicate output tensor alias: {alias}")
        seen.append(alias)
    return seen or list(signature.outputs)


def _join(names: Iterable[str] | Mapping[str, object]) -> str:
    return ",".join(sorted(names))
