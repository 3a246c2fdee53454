"""UBJSON: what is written reads back, and no bytes do anything but be read or be refused."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving.formats import ubjson
from fairlead.serving.formats.trees import Broken

plain = st.recursive(
    st.one_of(st.text(max_size=8), st.integers(-(2**63), 2**63 - 1), st.floats(width=32, allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)


@given(plain)
def test_what_is_written_reads_back(value: Any) -> None:
    assert ubjson.read(ubjson.write(value)) == value


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float32", "float64"])
def test_arrays_of_numbers_read_back_with_their_type(dtype: str) -> None:
    array = np.array([0, 1, 100], dtype=dtype)
    found = ubjson.read(ubjson.write({"a": array}))["a"]
    assert (found.tolist(), found.dtype) == (array.tolist(), array.dtype)


@given(plain, st.data())
def test_bytes_that_were_changed_or_cut_off_are_read_or_refused(value: Any, data: st.DataObject) -> None:
    whole = bytearray(ubjson.write(value))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    for tried in (bytes(whole), bytes(whole[:place])):
        with contextlib.suppress(Broken):
            ubjson.read(tried)
