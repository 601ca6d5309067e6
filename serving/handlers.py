"""What each request of the protocol answers, the same for gRPC and REST, in TensorFlow Serving's words.

C++ files named here are those of the repositories tensorflow/serving and tensorflow/tensorflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import Message

from serving.errors import Code, ServingError, invalid
from serving.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelSpec,
    PredictRequest,
    PredictResponse,
    SignatureDef,
    SignatureDefMap,
    TensorInfo,
)
from serving.models import Models, Servable
from serving.tensors import fill, name_of, to_array

DEFAULT_SIGNATURE = "serving_default"
_SIGNATURE_DEF = "signature_def"
_KINDS = {"classify": "classification", "regress": "regression"}


def leased(models: Models, request: PredictRequest) -> AbstractContextManager[Servable]:
    """The version that a Predict request asks for, for as long as the block runs."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return models.lease(request.model_spec)


def rows(request: PredictRequest) -> int:
    """How many rows a Predict request has: the first size of the largest of its tensors; 1 where none has any."""
    return max((one.tensor_shape.dim[0].size for one in request.inputs.values() if one.tensor_shape.dim), default=1)


@dataclass(frozen=True)
class Call:
    """A Predict request, checked: the signature, the arrays by alias, the outputs that come back."""

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: list[str]


def predict(servable: Servable, request: PredictRequest) -> PredictResponse:
    """PredictionService.Predict (servables/tensorflow/predict_impl.cc and predict_util.cc)."""
    call = checked(servable, request)
    return answer(servable, call, servable.model.predict(call.inputs, call.signature, call.outputs))


def checked(servable: Servable, request: PredictRequest) -> Call:
    """What the model is asked; ServingError where it cannot be asked that."""
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    if name not in servable.model.signatures or name.startswith("__"):
        raise ServingError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    signature = servable.model.signatures[name]
    return Call(name, _inputs(signature, request), _outputs(signature, request.output_filter))


def answer(servable: Servable, call: Call, outputs: Mapping[str, np.ndarray]) -> PredictResponse:
    """The outputs as a response."""
    response = PredictResponse()
    for alias in call.outputs:
        fill(response.outputs[alias], np.asarray(outputs[alias]))
    _fill_spec(response.model_spec, servable, call.signature)
    return response


def input_infos(models: Models, spec: ModelSpec) -> dict[str, TensorInfo]:
    """The inputs of the signature that a REST request names (http_rest_api_handler.cc, GetInfoMap)."""
    name = spec.signature_name or DEFAULT_SIGNATURE
    with models.lease(spec) as servable:
        if name not in servable.model.signatures:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        return dict(servable.model.signatures[name].inputs)


def metadata(models: Models, request: GetModelMetadataRequest) -> GetModelMetadataResponse:
    """PredictionService.GetModelMetadata (servables/tensorflow/get_model_metadata_impl.cc)."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != _SIGNATURE_DEF:
            raise invalid(f"Metadata field %s is not supported{field}")  # sic: theirs joins, it does not format
    response = GetModelMetadataResponse()
    with models.lease(request.model_spec) as servable:
        _fill_spec(response.model_spec, servable)
        response.metadata[_SIGNATURE_DEF].Pack(SignatureDefMap(signature_def=servable.model.signatures))
    return response


def not_predict(models: Models, request: Message, verb: str) -> ServingError:
    """Why a Classify or Regress request is refused (servables/tensorflow/classifier.cc and regressor.cc).

    A signature that the trainer writes is one for Predict; those for the others are not run here.
    """
    if not request.HasField("model_spec"):
        return invalid("Missing ModelSpec")
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    with models.lease(request.model_spec) as servable:
        signature = servable.model.signatures.get(name)
    if signature is None:
        return invalid(f"No signature was found with the name: {name}")
    wanted, kind = f"tensorflow/serving/{verb}", _KINDS[verb]
    if signature.method_name != wanted:
        return invalid(f"Expected {kind} signature method_name to be {wanted}. Was: {signature.method_name}")
    return ServingError(Code.UNIMPLEMENTED, f"{verb} is not part of the embedded server: use predict.")


def status(models: Models, request: GetModelStatusRequest) -> GetModelStatusResponse:
    """ModelService.GetModelStatus (model_servers/get_model_status_impl.cc, which ignores a label too)."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    name, spec = request.model_spec.name, request.model_spec
    wanted = spec.version.value if spec.HasField("version") else None
    states = [one for one in models.states(name) if wanted in (None, one[0])]
    if not states and wanted is not None:
        raise ServingError(Code.NOT_FOUND, f"Could not find version {wanted} of model {name}")
    if not states:
        raise ServingError(Code.NOT_FOUND, f"Could not find any versions of model {name}")
    response = GetModelStatusResponse()
    for number, state, error in states:
        one = response.model_version_status.add(version=number, state=state)
        one.status.error_code = error.number if error else 0
        one.status.error_message = error.message if error else ""
    return response


def _inputs(signature: SignatureDef, request: PredictRequest) -> dict[str, np.ndarray]:
    """The request's tensors by alias, checked (predict_util.cc and tensorflow/cc/saved_model/util.cc)."""
    _check_count(signature, request)
    inputs = {}
    for index, (alias, info) in enumerate(sorted(signature.inputs.items())):
        tensor = request.inputs.get(alias, signature.defaults.get(alias))
        if tensor is None:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {info.name}) not found in request and no default "
                f"value provided. Inputs expected to be in the request {{{_join(request.inputs)}}}, "
                f"or default input alias set: {_join(signature.defaults)}"
            )
        inputs[alias] = to_array(alias, tensor)
        if tensor.dtype != info.dtype:  # tensorflow/core/framework/function.cc, FunctionCallFrame::SetArgs
            raise invalid(f"Expects arg[{index}] to be {name_of(info.dtype)} but {name_of(tensor.dtype)} is provided")
    used = set(request.inputs) & set(inputs)
    if len(used) != len(request.inputs):
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {_join(used)}, request input: {_join(request.inputs)}"
        )
    return inputs


def _check_count(signature: SignatureDef, request: PredictRequest) -> None:
    sent, expected = set(request.inputs), set(signature.inputs)
    if len(sent) > len(expected) or (len(sent) < len(expected) and not signature.defaults):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} len({{{_join(sent)}}}) != "
            f"len({{{_join(expected)}}}). Sent extra: {{{_join(sent - expected)}}}. "
            f"Missing but required: {{{_join(expected - sent)}}}."
        )


def _outputs(signature: SignatureDef, wanted: Iterable[str]) -> list[str]:
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
    return seen or sorted(signature.outputs)


def _fill_spec(spec: ModelSpec, servable: Servable, signature_name: str = "") -> None:
    spec.name, spec.signature_name = servable.name, signature_name
    spec.version.value = servable.version


def _join(names: Iterable[str] | Mapping[str, object]) -> str:
    return ",".join(sorted(names))
