"""TensorProto and JSON to numpy and back, held against TensorFlow's own conversion."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serving.errors import ServingError
from serving.json_tensors import dense, flat_values, tensor
from serving.messages import DataType, ModelSpec, TensorInfo, TensorProto
from serving.rest_answers import dump_predict
from serving.rest_json import parse_predict
from serving.tensors import MAX_TENSOR_BYTES, to_array, to_tensor

KINDS = ["f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
ARRAYS = st.sampled_from(KINDS).flatmap(
    lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)


@given(ARRAYS)
def test_what_tensorflow_packs_comes_out_the_same(array: np.ndarray) -> None:
    np.testing.assert_array_equal(to_array("x", tf.make_tensor_proto(array)), array, strict=True)


@given(ARRAYS)
def test_what_this_server_packs_tensorflow_reads_the_same(array: np.ndarray) -> None:
    tensor = to_tensor(array)
    np.testing.assert_array_equal(tf.make_ndarray(tensor), array, strict=True)
    np.testing.assert_array_equal(to_array("x", tensor), array, strict=True)


def test_text_goes_through() -> None:
    array = np.array([[b"seven", b""]], object)
    assert to_array("x", tf.make_tensor_proto(array)).tolist() == array.tolist()
    assert tf.make_ndarray(to_tensor(array)).tolist() == array.tolist()


def test_too_few_values_repeat_the_last_as_in_tensorflow() -> None:
    tensor = TensorProto(dtype=DataType.DT_FLOAT, float_val=[1, 2])
    tensor.tensor_shape.dim.add().size = 4
    assert to_array("x", tensor).tolist() == [1, 2, 2, 2]


def test_no_values_are_zeros_as_in_tensorflow() -> None:
    tensor = TensorProto(dtype=DataType.DT_INT64)
    tensor.tensor_shape.dim.add().size = 2
    assert to_array("x", tensor).tolist() == [0, 0]


@given(
    st.builds(
        TensorProto,
        dtype=st.integers(0, 30),
        tensor_content=st.binary(max_size=9),
        float_val=st.lists(st.floats(width=32), max_size=5),
        int_val=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5),
        half_val=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5),
        string_val=st.lists(st.binary(max_size=3), max_size=3),
    ),
    st.lists(st.one_of(st.integers(-2, 5), st.integers(-(2**63), 2**63 - 1)), max_size=4),
)
def test_a_malformed_tensor_is_refused_and_a_good_one_is_small(tensor: TensorProto, shape: list[int]) -> None:
    for size in shape:
        tensor.tensor_shape.dim.add().size = size
    try:
        array = to_array("x", tensor)
    except ServingError as error:
        assert error.message == "tensor parsing error: x"
    else:
        assert list(array.shape) == shape
        assert array.nbytes <= MAX_TENSOR_BYTES


INFOS = {"x": TensorInfo(dtype=DataType.DT_FLOAT)}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "y", "b64"]), inner),
    max_leaves=12,
)


@given(st.sampled_from(["instances", "inputs"]), JSON)
def test_any_json_is_a_tensor_or_a_refusal(key: str, value: object) -> None:
    body = json.dumps({key: value}).encode()
    try:
        request, row = parse_predict(body, ModelSpec(name="m"), lambda spec: INFOS)
    except ServingError as error:
        assert error.code.name == "INVALID_ARGUMENT"
    else:
        assert row is (key == "instances")
        assert to_array("x", request.inputs["x"]).dtype == np.float32


@given(hnp.arrays("f4", hnp.array_shapes(min_dims=2, max_dims=3, max_side=4), elements=st.floats(width=32)))
def test_numbers_survive_the_way_through_json(array: np.ndarray) -> None:
    outputs = {"y": array}
    for row, key in ((True, "predictions"), (False, "outputs")):
        np.testing.assert_array_equal(np.array(json.loads(dump_predict(outputs, row))[key], "f4"), array)


@given(hnp.arrays("f4", hnp.array_shapes(max_dims=4, max_side=4), elements=st.floats(-1e6, 1e6, width=32)))
def test_numbers_of_one_shape_become_the_same_tensor_quickly_and_value_by_value(array: np.ndarray) -> None:
    for value in (array.tolist(), np.round(array).astype(int).tolist()):
        exact = tensor(*flat_values(value, DataType.DT_FLOAT), DataType.DT_FLOAT)
        assert dense(value, DataType.DT_FLOAT) == exact


@pytest.mark.parametrize(
    "value",
    [
        [],
        [[]],
        [[1], [1, 2]],
        [1, [2]],
        [True],
        ["1"],
        [None],
        [{"b64": ""}],
        [16777217],
        [1e39],
        [10**400],
        [float("nan")],
    ],
)
def test_what_is_not_plainly_numbers_of_one_shape_is_looked_at_value_by_value(value: list) -> None:
    assert dense(value, DataType.DT_FLOAT) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("wrong", ["true", "false", '"1"', "null"])
def test_what_is_no_number_is_none_among_numbers_either(wrong: str, encoding: str) -> None:
    body = f'{{"instances": [[1.5, {wrong}]]}}'.encode(encoding)
    with pytest.raises(ServingError, match="is not of expected type: float"):
        parse_predict(body, ModelSpec(name="m"), lambda spec: INFOS)


@pytest.mark.parametrize("value", [[1, [2]], [[1], 2], [["1"]], [[None]], [[16777217]], [[1e39]], [[10**400]]])
def test_that_there_is_no_truth_value_does_not_make_the_rest_numbers(value: list) -> None:
    assert dense(value, DataType.DT_FLOAT, numbers=True) is None


def test_floats_are_written_as_short_as_they_can_be() -> None:
    outputs = {"y": np.array([[0.1]], np.float32)}
    assert json.loads(dump_predict(outputs, row=True)) == {"predictions": [[0.1]]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_written_as_tensorflow_serving_writes_it(value: float) -> None:
    outputs = {"y": np.array([[value, 0.5]], np.float32)}
    text = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]  # RapidJSON's kWriteNanAndInfFlag
    assert f"[{text}, 0.5]" in dump_predict(outputs, row=True)


def test_json_that_only_the_standard_library_reads_is_read() -> None:
    infos = {"x": TensorInfo(dtype=DataType.DT_FLOAT)}
    request, _ = parse_predict(b'{"instances": [[NaN, -Infinity]]}', ModelSpec(name="m"), lambda spec: infos)
    np.testing.assert_array_equal(to_array("x", request.inputs["x"]), [[np.nan, -np.inf]])


def test_half_a_character_is_no_text() -> None:
    body = b'{"instances": [[1]], "signature_name": "\\ud800"}'
    with pytest.raises(ServingError, match=r"JSON Parse error: .*surrogates not allowed") as refused:
        parse_predict(body, ModelSpec(name="m"), lambda spec: {"x": TensorInfo(dtype=DataType.DT_FLOAT)})
    assert refused.value.code.name == "INVALID_ARGUMENT"


def test_several_inputs_are_named_in_every_row() -> None:
    infos = {"a": TensorInfo(dtype=DataType.DT_INT32), "b": TensorInfo(dtype=DataType.DT_STRING)}
    body = json.dumps({"instances": [{"a": [1, 2], "b": "u"}, {"a": [3, 4], "b": {"b64": "dg=="}}]}).encode()
    request, _ = parse_predict(body, ModelSpec(name="m"), lambda spec: infos)
    assert to_array("a", request.inputs["a"]).tolist() == [[1, 2], [3, 4]]
    assert to_array("b", request.inputs["b"]).tolist() == [b"u", b"v"]


def test_a_row_that_lacks_an_input_is_refused() -> None:
    infos = INFOS | {"y": TensorInfo(dtype=DataType.DT_FLOAT)}
    with pytest.raises(ServingError, match="must only have keys: x,y"):
        parse_predict(b'{"instances": [{"x": 1.0}]}', ModelSpec(name="m"), lambda spec: infos)
