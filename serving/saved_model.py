"""What a SavedModel says of itself: its signatures, read without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from google.protobuf.message import DecodeError

from serving.backend import LoadError
from serving.messages import SavedModel
from serving.signatures import Signature
from serving.versions import GRAPH

_TAG = "serve"  # tensorflow/cc/saved_model/tag_constants.h


def signatures(folder: Path) -> Mapping[str, Signature]:
    """The signatures by name; LoadError where the file is no SavedModel or has nothing that is meant for serving."""
    try:
        model = SavedModel.FromString((folder / GRAPH).read_bytes())
    except DecodeError as error:
        raise LoadError(f"{GRAPH} is no SavedModel") from error
    except OSError as error:
        raise LoadError(f"{GRAPH} cannot be read ({error.strerror})") from error
    for graph in model.meta_graphs:
        if list(graph.meta_info_def.tags) == [_TAG]:
            return {name: Signature.of(one) for name, one in graph.signature_def.items()}
    raise LoadError(f'{GRAPH} has no graph with the tag "{_TAG}"')
