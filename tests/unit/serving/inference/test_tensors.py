"""Numbers that clients send as another type than the one of the field."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fairlead
from fairlead.serving.inference import tensors

WHOLE = tensors.Tensor("n", "INT64")
REAL = tensors.Tensor("x", "FP64")
DATATYPES = [*tensors.INTEGERS, *tensors.FLOATS]
NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.integers(-300, 300) | st.integers(2**53 - 2, 2**53 + 2)


@given(field=st.sampled_from([WHOLE, REAL]), datatype=st.sampled_from(DATATYPES), value=NUMBERS)
def test_a_number_of_another_type_keeps_its_value_or_is_refused(
    field: tensors.Tensor, datatype: str, value: int | float
) -> None:
    assert field.takes(datatype)
    try:
        (read,) = tensors.values(field, [value], 1, ("data",), datatype)
    except fairlead.errors.Invalid:
        bounds = tensors.INTEGERS.get(datatype)
        fits = bounds is None or (isinstance(value, int) and bounds[0] <= value <= bounds[1])
        exact = math.isfinite(value) and (
            tensors.INT64[0] <= value <= tensors.INT64[1] and float(value).is_integer()
            if field is WHOLE
            else isinstance(value, float) or abs(value) <= tensors.EXACT
        )
        assert not (fits and exact)
        return
    assert type(read) is (int if field is WHOLE else float)
    if datatype in tensors.FLOATS and field is REAL:  # JSON may write a float without a point
        value = float(value)
    assert read == value


@pytest.mark.parametrize("datatype", ["BOOL", "BYTES", "FP128", "fp64"])
def test_what_is_no_type_of_number_is_refused_for_a_number(datatype: str) -> None:
    assert not REAL.takes(datatype)
    assert not WHOLE.takes(datatype)
