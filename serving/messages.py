"""Every protobuf message of the protocol, in one place and without TensorFlow, whose import takes 3 s and 560 MB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message_factory import GetMessageClass

_pool = DescriptorPool()  # our own: TensorFlow, where it is loaded later, puts the same files into the default one
for _file in FileDescriptorSet.FromString(
    (Path(__file__).parent / "serving_api.binpb").read_bytes()  # made by web-ui/make_serving_api.py
).file:
    _pool.Add(_file)


def _message(name: str) -> Any:
    return GetMessageClass(_pool.FindMessageTypeByName(f"tensorflow.{name}"))


ClassificationRequest = _message("serving.ClassificationRequest")
ClassificationResponse = _message("serving.ClassificationResponse")
DataType = EnumTypeWrapper(_pool.FindEnumTypeByName("tensorflow.DataType"))
GetModelMetadataRequest = _message("serving.GetModelMetadataRequest")
GetModelMetadataResponse = _message("serving.GetModelMetadataResponse")
GetModelStatusRequest = _message("serving.GetModelStatusRequest")
GetModelStatusResponse = _message("serving.GetModelStatusResponse")
ModelServerConfig = _message("serving.ModelServerConfig")
ModelSpec = _message("serving.ModelSpec")
ModelVersionStatus = _message("serving.ModelVersionStatus")
MultiInferenceRequest = _message("serving.MultiInferenceRequest")
MultiInferenceResponse = _message("serving.MultiInferenceResponse")
PredictRequest = _message("serving.PredictRequest")
PredictResponse = _message("serving.PredictResponse")
RegressionRequest = _message("serving.RegressionRequest")
RegressionResponse = _message("serving.RegressionResponse")
ReloadConfigRequest = _message("serving.ReloadConfigRequest")
ReloadConfigResponse = _message("serving.ReloadConfigResponse")
SavedModel = _message("SavedModel")
SignatureDef = _message("SignatureDef")
SignatureDefMap = _message("serving.SignatureDefMap")
TensorInfo = _message("TensorInfo")
TensorProto = _message("TensorProto")
