"""Writes webui/serving_api.binpb: TensorFlow Serving's messages as data, so that the UI needs no TensorFlow.

Run it where tensorflow-serving-api is installed, whenever that package changes:

    python web-ui/make_serving_api.py
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

TARGET = Path(__file__).parent / "webui" / "serving_api.binpb"


def serving_api() -> bytes:
    """The files of Predict and GetModelStatus with all they import, imports first; a FileDescriptorSet."""
    # Importing these imports all of TensorFlow (561 MB): the reason why the data file exists.
    from tensorflow_serving.apis import get_model_status_pb2, predict_pb2

    files: dict[str, FileDescriptorProto] = {}
    for module in (predict_pb2, get_model_status_pb2):
        _collect(module.DESCRIPTOR, files)
    return FileDescriptorSet(file=files.values()).SerializeToString(deterministic=True)


def _collect(file: FileDescriptor, files: dict[str, FileDescriptorProto]) -> None:
    for needed in file.dependencies:
        _collect(needed, files)
    files.setdefault(file.name, FileDescriptorProto.FromString(file.serialized_pb))


if __name__ == "__main__":
    TARGET.write_bytes(serving_api())
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")
