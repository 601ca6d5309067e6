"""What each request of the protocol answers, the same for gRPC and REST, in TensorFlow Serving's words.

C++ files named here are those of the repositories tensorflow/serving and tensorflow/tensorflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from google.protobuf.message import Message

from serving.errors import Code, ServingError, invalid
from serving.messages import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    ModelSpec,
    PredictRequest,
    SignatureDefMap,
    TensorInfo,
)
from serving.models import Models, Servable

DEFAULT_SIGNATURE = "serving_default"
_SIGNATURE_DEF = "signature_def"
_KINDS = {"classify": "classification", "regress": "regression"}


def leased(models: Models, request: PredictRequest) -> AbstractContextManager[Servable]:
    """The version that a Predict request asks for, for as long as the block runs."""
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return models.lease(request.model_spec)


def input_infos(models: Models, spec: ModelSpec) -> Mapping[str, TensorInfo]:
    """The inputs of the signature that a REST request names (http_rest_api_handler.cc, GetInfoMap)."""
    name = spec.signature_name or DEFAULT_SIGNATURE
    signature = models.signatures(spec).get(name)
    if signature is None:
        raise invalid(f'Serving signature name: "{name}" not found in signature def')
    return signature.inputs


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
        fill_spec(response.model_spec, servable)
        described = {name: one.message for name, one in servable.model.signatures.items()}
        response.metadata[_SIGNATURE_DEF].Pack(SignatureDefMap(signature_def=described))
    return response


def not_predict(models: Models, request: Message, verb: str) -> ServingError:
    """Why a Classify or Regress request is refused (servables/tensorflow/classifier.cc and regressor.cc).

    A signature that the trainer writes is one for Predict; those for the others are not run here.
    """
    if not request.HasField("model_spec"):
        return invalid("Missing ModelSpec")
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = models.signatures(request.model_spec).get(name)
    if signature is None:
        return invalid(f"No signature was found with the name: {name}")
    wanted, kind = f"tensorflow/serving/{verb}", _KINDS[verb]
    if signature.message.method_name != wanted:
        return invalid(f"Expected {kind} signature method_name to be {wanted}. Was: {signature.message.method_name}")
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


def fill_spec(spec: ModelSpec, servable: Servable, signature_name: str = "") -> None:
    """Say which version answers, and by which signature."""
    spec.name, spec.signature_name = servable.name, signature_name
    spec.version.value = servable.version
