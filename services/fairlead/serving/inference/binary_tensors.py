"""The elements of tensors in binary form, as the binary tensor data extension of Triton and KServe has them.

Numbers are little-endian, one after the other, in row-major order. A BOOL is one byte, 0 or 1. A text is its length in
four bytes, then the text in UTF-8. Source: "Binary Tensor Data Extension" of Triton's protocol documentation.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.contracts.images import kind_of
from fairlead.serving.formats import datatypes

Loc = tuple[str | int, ...]
_BF16 = "BF16"
_NUMBERS: Mapping[str, np.dtype[Any]] = {
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BOOL": np.dtype("<u1"),
    _BF16: datatypes.BF16,
}
_LENGTH = struct.Struct("<I")
_SHOWN = 40


def item_size(datatype: str) -> int:
    """The bytes of one number of this datatype."""
    return _NUMBERS[datatype].itemsize


def array(datatype: str, raw: memoryview, shape: Sequence[int]) -> np.ndarray:
    """The numbers of a tensor as a read-only view of `raw`, which must be as long as the shape says.

    Those of BF16 are an array of float32.
    """
    numbers = np.frombuffer(raw, _NUMBERS[datatype]).reshape(shape)
    return datatypes.from_bf16(numbers) if datatype == _BF16 else numbers


def elements(datatype: str, raw: memoryview, count: int, loc: Loc) -> list[Any]:
    """The elements of a tensor as Python values: numbers, booleans or texts. Raises Invalid at `loc`.

    `count` is the number of elements that the tensor's shape says.
    """
    if datatype == "BYTES":
        return texts_of(_divided(raw, count, loc), loc)
    kind = _NUMBERS.get(datatype)
    if kind is None:
        raise errors.Invalid.at(loc, f"there is no datatype {datatype[:_SHOWN]!r}", "unknown_datatype")
    if len(raw) != count * kind.itemsize:
        raise errors.Invalid.at(
            loc, f"{len(raw)} bytes are not {count} elements of {datatype}, {kind.itemsize} bytes each", "binary_size"
        )
    array = np.frombuffer(raw, kind)
    if datatype == _BF16:
        array = datatypes.from_bf16(array)
    if datatype == "BOOL":
        if array.size and array.max() > 1:
            raise errors.Invalid.at((*loc, int((array > 1).argmax())), "a BOOL is one byte, 0 or 1", "datatype")
        array = array.astype(bool)
    found: list[Any] = array.tolist()
    return found


def files(raw: memoryview, count: int, loc: Loc) -> list[Any]:
    """The elements of a tensor of files: bytes, or text where a client has sent base64. Raises Invalid at `loc`."""
    return files_of(_divided(raw, count, loc))


def files_of(parts: Sequence[bytes | memoryview]) -> list[Any]:
    """The same, of the bytes of each element."""
    return [bytes(one) if kind_of(bytes(one[:16])) or not bytes(one).isascii() else str(one, "ascii") for one in parts]


def texts_of(parts: Sequence[bytes | memoryview], loc: Loc) -> list[Any]:
    """The texts with these bytes. Raises Invalid at `loc`."""
    found: list[str] = []
    for index, one in enumerate(parts):
        try:
            found.append(str(one, "utf-8"))
        except UnicodeDecodeError:
            raise errors.Invalid.at((*loc, index), "a text is not UTF-8", "datatype") from None
    return found


def _divided(raw: memoryview, count: int, loc: Loc) -> list[memoryview]:
    """The bytes of each text."""
    found: list[memoryview] = []
    place = 0
    while place < len(raw):
        if len(found) == count:
            raise errors.Invalid.at(
                loc, f"there are more than {count} texts, the number that the shape says", "element_count"
            )
        begin = place + _LENGTH.size
        if begin > len(raw):
            raise errors.Invalid.at((*loc, len(found)), "the length of a text is not complete", "binary_size")
        (length,) = _LENGTH.unpack(raw[place:begin])
        place = begin + length
        if place > len(raw):
            raise errors.Invalid.at((*loc, len(found)), f"a text of {length} bytes is not complete", "binary_size")
        found.append(raw[begin:place])
    if len(found) != count:
        raise errors.Invalid.at(loc, f"there are {len(found)} texts, and the shape says {count}", "element_count")
    return found


def encoded(datatype: str, values: Sequence[Any]) -> bytes | None:
    """The elements in binary form; None if one has none: a null, or what the datatype does not have.

    A number with a fraction that is null becomes NaN, as a NaN that is sent becomes null.
    """
    if datatype == "BYTES":
        if not all(isinstance(value, str) for value in values):
            return None
        parts = [value.encode() for value in values]
        return b"".join([part for text in parts for part in (_LENGTH.pack(len(text)), text)])
    kind = _NUMBERS[datatype]
    if datatype == _BF16:
        numbers = np.array(values, np.float64)  # null is NaN
        is_held = ~(np.abs(numbers) > datatypes.LARGEST[_BF16])
        return datatypes.to_bf16(numbers).tobytes() if is_held.all() else None
    if kind.kind != "f" and None in values or datatype == "BOOL" and not all(isinstance(one, bool) for one in values):
        return None
    try:
        with np.errstate(over="raise"):
            return np.array(values, kind).tobytes()
    except (FloatingPointError, OverflowError):
        return None
