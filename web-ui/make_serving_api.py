"""Writes TensorFlow Serving's messages as data, so that who speaks its protocol needs no TensorFlow.

Run it where tensorflow-serving-api is installed, whenever that package changes:

    python web-ui/make_serving_api.py
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

_HERE = Path(__file__).parent

UI = _HERE / "webui" / "serving_api.binpb"
"""Predict and GetModelStatus, for whoever asks a server: the UI, and `invoke predict`."""

SERVER = _HERE.parent / "serving" / "serving_api.binpb"
"""The whole protocol, what configures a server, and what a SavedModel is: for the embedded server."""


def serving_api(target: Path = UI) -> bytes:
    """The files of the target's messages with all they import, imports first; a FileDescriptorSet."""
    # Importing these imports all of TensorFlow (561 MB): the reason why the data files exist.
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2, predict_pb2, prediction_service_pb2

    modules = {
        UI: (predict_pb2, get_model_status_pb2),
        SERVER: (prediction_service_pb2, model_service_pb2, saved_model_pb2),
    }
    files: dict[str, FileDescriptorProto] = {}
    for module in modules[target]:
        _collect(module.DESCRIPTOR, files)
    return FileDescriptorSet(file=files.values()).SerializeToString(deterministic=True)


def _collect(file: FileDescriptor, files: dict[str, FileDescriptorProto]) -> None:
    for needed in file.dependencies:
        _collect(needed, files)
    files.setdefault(file.name, FileDescriptorProto.FromString(file.serialized_pb))


if __name__ == "__main__":
    for path in (UI, SERVER):
        path.write_bytes(serving_api(path))
        print(f"{path}: {path.stat().st_size:,} bytes")
