"""Elements in binary form mean what numpy and the protocol's documentation say, and come back as they were."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.inference import binary_tensors

LOC = ("body", "inputs", 0, "data")
NUMBERS = {
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}


def elements(datatype: str, raw: bytes, count: int) -> list[Any]:
    return binary_tensors.elements(datatype, memoryview(raw), count, LOC)


def the_same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(
        type(a) is type(b) and (a == b or (math.isnan(a) and math.isnan(b))) for a, b in zip(one, other, strict=True)
    )


@given(datatype=st.sampled_from(list(NUMBERS)), data=st.data())
def test_numbers_are_those_that_numpy_reads_and_come_back_as_the_same_bytes(datatype: str, data: st.DataObject) -> None:
    kind = NUMBERS[datatype]
    raw = data.draw(st.binary(max_size=64).map(lambda given: given[: len(given) // kind.itemsize * kind.itemsize]))
    found = elements(datatype, raw, len(raw) // kind.itemsize)
    assert the_same(found, np.frombuffer(raw, kind).tolist())
    assert the_same(elements(datatype, binary_tensors.encoded(datatype, found) or b"", len(found)), found)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=8))
def test_a_bf16_is_the_upper_half_of_a_float32(values: list[float]) -> None:
    halves = np.array(values, "<f4").view("<u4") >> 16
    found = elements("BF16", halves.astype("<u2").tobytes(), len(values))
    assert the_same(found, (halves << 16).astype("<u4").view("<f4").tolist())


@given(st.lists(st.text(max_size=5), max_size=5))
def test_texts_come_back_as_they_were(texts: list[str]) -> None:
    raw = binary_tensors.encoded("BYTES", texts)
    assert raw == b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)
    assert elements("BYTES", raw, len(texts)) == texts


@given(st.lists(st.booleans(), max_size=8))
def test_booleans_come_back_as_they_were(values: list[bool]) -> None:
    raw = binary_tensors.encoded("BOOL", values)
    assert raw == bytes(values)
    assert the_same(elements("BOOL", raw, len(values)), values)


@pytest.mark.parametrize(
    ("datatype", "raw", "count", "said", "place"),
    [
        ("FP32", bytes(9), 2, "9 bytes are not 2 elements of FP32, 4 bytes each", ()),
        ("INT64", b"", 1, "0 bytes are not 1 elements of INT64", ()),
        ("BOOL", b"\x00\x02", 2, "a BOOL is one byte, 0 or 1", (1,)),
        ("BYTES", b"\x01\x00", 1, "the length of a text is not complete", (0,)),
        ("BYTES", struct.pack("<I", 2**31) + b"a", 1, "a text of 2147483648 bytes is not complete", (0,)),
        ("BYTES", struct.pack("<I", 1) + b"\xff", 1, "a text is not UTF-8", (0,)),
        ("BYTES", bytes(8), 1, "there are more than 1 texts", ()),
        ("BYTES", bytes(4), 2, "there are 1 texts, and the shape says 2", ()),
        ("FP65", bytes(8), 1, "there is no datatype 'FP65'", ()),
    ],
)
def test_bytes_that_are_not_the_elements_are_refused_with_the_place(
    datatype: str, raw: bytes, count: int, said: str, place: tuple[int, ...]
) -> None:
    with pytest.raises(errors.Invalid) as caught:
        elements(datatype, raw, count)
    assert said in caught.value.message
    assert caught.value.details[0].loc == (*LOC, *place)


def test_a_number_that_the_datatype_does_not_have_has_no_binary_form() -> None:
    assert binary_tensors.encoded("FP32", [1e39]) is None
    assert binary_tensors.encoded("INT8", [300]) is None


def test_a_fraction_that_is_null_is_nan_and_anything_else_that_is_null_has_no_binary_form() -> None:
    assert binary_tensors.encoded("FP64", [None, 1.5]) == np.array([np.nan, 1.5]).tobytes()
    for datatype, values in (("INT64", [None, 1]), ("BYTES", ["a", None]), ("BOOL", [None])):
        assert binary_tensors.encoded(datatype, values) is None
