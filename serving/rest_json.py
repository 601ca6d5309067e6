"""Predict requests as JSON, in row and column format (tensorflow_serving/util/json_tensor.cc)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from serving.errors import ServingError, invalid
from serving.json_tensors import dense, flat_values, is_base64, show, tensor
from serving.messages import ModelSpec, PredictRequest, TensorInfo, TensorProto

Infos = Mapping[str, TensorInfo]


def parse_predict(body: bytes, spec: ModelSpec, infos_of: Callable[[ModelSpec], Infos]) -> tuple[PredictRequest, bool]:
    """The request in a POSTed body, and whether it is rows (`instances`) rather than columns (`inputs`).

    `infos_of` tells the inputs of the signature that the body names. ServingError INVALID_ARGUMENT otherwise.
    """
    document, numbers = _document(body)
    request = PredictRequest(model_spec=spec)
    request.model_spec.signature_name = signature = _signature(document)
    infos = infos_of(request.model_spec)
    if not infos:
        raise invalid(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
    row = _is_row(document)
    values = document["instances" if row else "inputs"]
    tensors = _from_rows(values, infos, numbers) if row else _from_columns(values, infos, numbers)
    for alias, one in tensors.items():
        request.inputs[alias].CopyFrom(one)
    return request, row


def parse_examples(body: bytes, spec: ModelSpec) -> None:
    """Check the body of a classify or regress request, and put the signature that it names into the spec."""
    document, _ = _document(body)
    spec.signature_name = _signature(document)
    if "examples" not in document:
        raise invalid(
            f"JSON Value: {show(document)} When method is classify, key 'examples' is expected and was not found"
        )
    if not isinstance(document["examples"], list):
        raise invalid(f"JSON Value: {show(document)} Expecting 'examples' value to be an list/array")
    if not document["examples"]:
        raise invalid(f"JSON Value: {show(document)} 'examples' value is an empty array")


def _document(body: bytes) -> tuple[dict, bool]:
    """What the text says, and whether it is known to be without `true` and `false`."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document, numbers = _parsed(body)
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {error.pos}") from error
    except UnicodeDecodeError as error:
        raise invalid(f"JSON Parse error: Invalid encoding in string. at offset: {error.start}") from error
    except RecursionError as error:
        raise invalid("JSON Parse error: nested too deeply") from error
    except ValueError as error:  # a number of thousands of digits
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {show(document)} Is not object")
    return document, numbers


def _parsed(body: bytes) -> tuple[Any, bool]:
    """What the text says, quickly; what orjson does not take is the standard library's to read, or to say why not."""
    try:
        return orjson.loads(body), not _has(body, b"u", b"true") and not _has(body, b"f", b"false")
    except orjson.JSONDecodeError:
        document = json.loads(body)
        json.dumps(document, ensure_ascii=False).encode()  # UnicodeEncodeError, a ValueError, for half a surrogate pair
        return document, False


def _has(body: bytes, letter: bytes, word: bytes) -> bool:
    """Whether a word is in the text: one letter of it is found 20 times as fast, and mostly is not there."""
    return letter in body and word in body


def _signature(document: dict) -> str:
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise invalid(
            f"JSON Value: {show(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return signature


def _is_row(document: dict) -> bool:
    if "instances" not in document:
        if "inputs" not in document:
            raise invalid("Missing 'inputs' or 'instances' key")
        return False
    wrong = None
    if "inputs" in document:
        wrong = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
    elif not isinstance(document["instances"], list):
        wrong = "Excepting 'instances' to be an list/array"  # sic: their spelling, which clients may look for
    elif not document["instances"]:
        wrong = "No values in 'instances' array"
    if wrong:
        raise invalid(f"JSON Value: {show(document)} {wrong}")
    return True


def _from_rows(instances: list, infos: Infos, numbers: bool) -> dict[str, TensorProto]:
    """Every instance gives one row of every input; all rows of one input have one shape."""
    if not isinstance(instances[0], dict) and len(infos) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple "
            "input tensors required as per tensorinfo_map"
        )
    if len(infos) == 1 and (plain := dense(instances, infos[(alias := next(iter(infos)))].dtype, numbers)):
        return {alias: plain}
    named = _is_object(instances[0])
    shapes: dict[str, list[int]] = {}
    values: dict[str, list] = {alias: [] for alias in infos}
    for index, instance in enumerate(instances):
        if _is_object(instance) != named:
            kinds = "object but got list" if named else "value/list but got object"
            raise invalid(f"Expecting {kinds} at item {index} of input list")
        for alias, value in (instance if named else {next(iter(infos)): instance}).items():
            where = f"{index} key: {alias}" if named else str(index)
            try:
                _add_row(alias, value, infos, shapes, values)
            except ServingError as error:
                why = f"{error.code.name}: {error.message}"
                raise invalid(f"Failed to process element: {where} of 'instances' list. Error: {why}") from error
        if named and set(instance) != set(infos):
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {show(instance)} "
                f"must only have keys: {','.join(sorted(infos))}"
            )
    return {name: tensor([len(instances), *shapes[name]], values[name], infos[name].dtype) for name in infos}


def _add_row(alias: str, value: object, infos: Infos, shapes: dict[str, list[int]], values: dict[str, list]) -> None:
    if alias not in infos:
        raise invalid(f"JSON object: does not have named input: {alias}")
    shape, flat = flat_values(value, infos[alias].dtype)
    expected = shapes.setdefault(alias, shape)
    count = len(values[alias]) and np.prod(expected, dtype=int)
    if count and count != len(flat):
        raise invalid(f"Expecting tensor size: {count} but got: {len(flat)}")
    if shape != expected:
        raise invalid(f"Expecting shape {_brackets(expected)} but got: {_brackets(shape)}")
    values[alias].extend(flat)


def _from_columns(inputs: object, infos: Infos, numbers: bool) -> dict[str, TensorProto]:
    """The whole batch of every input at once."""
    if not _is_object(inputs):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple "
                "input tensors required as per tensorinfo_map"
            )
        inputs = {next(iter(infos)): inputs}
    for alias in infos:
        if alias not in inputs:
            raise invalid(f"Missing named input: {alias} in 'inputs' object.")
    return {alias: _column(inputs[alias], info.dtype, numbers) for alias, info in infos.items()}


def _column(value: object, dtype: int, numbers: bool) -> TensorProto:
    plain = dense(value, dtype, numbers) if isinstance(value, list) else None
    return plain or tensor(*flat_values(value, dtype), dtype)


def _is_object(value: object) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _brackets(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
