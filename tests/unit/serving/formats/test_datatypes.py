"""No value becomes another one between a client, the array of an estimator and the answer of a declared model."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.manifest import Datatype, Tensor
from fairlead.serving.formats import datatypes
from unit.serving.formats.test_declared import answers, manifest

NUMBERS = [kind for kind in get_args(Datatype) if kind != "BYTES"]
VALUES = (
    st.integers(-(2**70), 2**70)
    | st.floats()
    | st.integers(-300, 300)
    | st.integers(2**53 - 2, 2**53 + 2)
    | st.booleans()
)


def nearest(number: float, datatype: str) -> float:
    """The nearest number of a float type, worked out from the two BF16 numbers around a float32 number."""
    if datatype != "BF16" or not math.isfinite(number):
        return float(np.array(number, {"FP16": "f2", "FP32": "f4"}.get(datatype, "f8")).item())
    (bits,) = np.array([number], np.float32).view(np.uint32).tolist()
    around = [upper for upper in (bits >> 16, (bits >> 16) + 1) if upper & 0x7F80 != 0x7F80]
    values = {upper: float(np.array([upper << 16], np.uint32).view(np.float32)[0]) for upper in around}
    exact = float(np.float32(number))
    return values[min(values, key=lambda upper: (abs(values[upper] - exact), upper % 2))]


class Says:
    """An estimator that returns what a test gives it, and keeps the array that it got."""

    def __init__(self, value: Any = 1) -> None:
        self.value = value
        self.got = np.zeros(0)

    def predict(self, batch: Any) -> Any:
        self.got = batch
        return self.value


def output(datatype: str) -> Tensor:
    return Tensor.model_validate({"name": "y", "datatype": datatype})


def said(value: Any, datatype: str) -> Any:
    stated = manifest([{"name": "x", "datatype": "FP64"}], [{"name": "y", "datatype": datatype}])
    (answer,) = answers(stated, Says(value), [{"x": 1.0}])
    return answer["y"]


@pytest.mark.parametrize(
    ("value", "datatype"),
    [
        (1.99, "INT64"),
        (1e30, "INT64"),
        (2.0**63, "INT64"),
        (math.nan, "INT32"),
        (math.inf, "UINT8"),
        (300, "INT8"),
        (-1, "UINT64"),
        (2.0, "BOOL"),
        ("yes", "BOOL"),
        ("1", "INT64"),
        (2**53 + 1, "FP64"),
        (2**24 + 1, "FP32"),
        (1e39, "FP32"),
        (1j, "FP64"),
        (None, "FP64"),
    ],
)
def test_a_value_that_the_declared_datatype_does_not_have_is_a_failure_that_names_it(value: Any, datatype: str) -> None:
    with pytest.raises(errors.ModelFailed) as caught:
        said([value], datatype)
    assert f"for output 'y', and {datatype}, its declared datatype, does not have this value" in caught.value.message
    assert "FP64" in caught.value.message


@pytest.mark.parametrize(
    ("value", "datatype", "answered"),
    [
        (3.0, "INT64", 3),
        (2**53 + 1, "INT64", 2**53 + 1),
        (2**64 - 1, "UINT64", 2**64 - 1),
        (-(2.0**63), "INT64", -(2**63)),
        (1, "BOOL", True),
        (0.0, "BOOL", False),
        (True, "INT8", 1),
        (0.1, "FP32", float(np.float32(0.1))),
        (7, "FP64", 7.0),
    ],
)
def test_a_value_that_the_declared_datatype_has_keeps_it(value: Any, datatype: str, answered: Any) -> None:
    found = said([value], datatype)
    assert (type(found), found) == (type(answered), answered)


@given(values=st.lists(VALUES, min_size=1, max_size=4), datatype=st.sampled_from(NUMBERS), as_objects=st.booleans())
@example(values=[2**24 + 1, 0.0], datatype="FP32", as_objects=True)
def test_numbers_keep_their_values_or_fail(values: list[Any], datatype: str, as_objects: bool) -> None:
    array = np.array(values, dtype=object if as_objects else None)
    if array.dtype.kind not in "biufO":
        return
    try:
        found = datatypes.elements(array, output(datatype))
    except errors.ModelFailed:
        return
    for before, after in zip(array.tolist(), found, strict=True):
        if isinstance(before, float):
            before = nearest(before, datatype)
        assert before == after or (math.isnan(before) and math.isnan(after))


@pytest.mark.parametrize(
    ("inputs", "got"),
    [
        (["FP32", "FP32"], "float32"),
        (["FP64", "FP32"], "float64"),
        (["INT8", "INT64"], "int64"),
        (["INT64", "BOOL"], "int64"),
        (["UINT64", "UINT8"], "uint64"),
        (["UINT64", "INT8"], "int64"),
        (["INT64", "FP64"], "float64"),
        (["BOOL", "BOOL"], "float64"),
    ],
)
def test_the_estimator_gets_an_array_of_the_type_that_holds_all_inputs(inputs: list[Any], got: str) -> None:
    assert datatypes.argument_type(inputs) == got
    estimator = Says([1])
    stated = manifest(
        [{"name": f"x{i}", "datatype": kind} for i, kind in enumerate(inputs)], [{"name": "y", "datatype": "INT64"}]
    )
    row = {f"x{i}": {"BOOL": True, "FP32": 1.0, "FP64": 1.0}.get(kind, 1) for i, kind in enumerate(inputs)}
    answers(stated, estimator, [row])
    assert estimator.got.dtype.name == got
    assert (estimator.got == 1).all()


@pytest.mark.parametrize(
    ("inputs", "value", "kept"),
    [
        (["INT64"], 2**53 + 1, True),
        (["UINT64"], 2**64 - 1, True),
        (["INT64", "FP64"], 2**53, True),
        (["INT64", "FP64"], 2**53 + 1, False),
        (["UINT64", "INT64"], 2**63, False),
    ],
)
def test_an_integer_reaches_the_estimator_as_it_is_or_is_refused(inputs: list[str], value: int, kept: bool) -> None:
    estimator = Says([1])
    stated = manifest(
        [{"name": f"x{i}", "datatype": kind} for i, kind in enumerate(inputs)], [{"name": "y", "datatype": "INT64"}]
    )
    row = {f"x{i}": value if i == 0 else 1 for i, _ in enumerate(inputs)}
    if not kept:
        with pytest.raises(ValueError, match="less than or equal"):
            answers(stated, estimator, [row])
        return
    answers(stated, estimator, [row])
    assert int(estimator.got[0, 0]) == value


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(1.00390625)  # between two, of which the lower is even
@example(1.01171875)  # between two, of which the upper is even
@example(0.0)
@example(-1e-45)
def test_bf16_is_the_nearest_number(number: float) -> None:
    if abs(number) <= datatypes.LARGEST["BF16"]:
        bits = datatypes.to_bf16(np.array([number]))
        assert (bits.dtype.itemsize, datatypes.from_bf16(bits).tolist()) == (2, [nearest(number, "BF16")])


def test_bf16_keeps_the_shape_nan_and_infinity_of_an_array() -> None:
    given = np.array([[math.nan, math.inf, -math.inf], [1, -0.0, 2**-133]])
    found = datatypes.from_bf16(datatypes.to_bf16(given))
    np.testing.assert_array_equal(found, given.astype(np.float32))


@pytest.mark.parametrize(("datatype", "got"), [("FP16", 0.0999755859375), ("BF16", 0.10009765625)])
def test_an_estimator_gets_the_rounded_fraction_as_float32(datatype: str, got: float) -> None:
    estimator = Says([1])
    stated = manifest([{"name": "x", "datatype": datatype}], [{"name": "y", "datatype": "FP64"}])
    answers(stated, estimator, [{"x": 0.1}])
    assert estimator.got.dtype.name == "float32"
    assert estimator.got.ravel().tolist() == [got]
