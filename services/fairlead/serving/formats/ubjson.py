"""Reads and writes UBJSON as XGBoost does: objects, texts, numbers, and arrays that state their length.

Reading needs memory in proportion to the bytes: a length is compared with what is left before anything is made.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from fairlead.serving.formats.trees import Broken

DEPTH = 64
_ARRAYS: Mapping[bytes, np.dtype[Any]] = MappingProxyType(
    {
        b"i": np.dtype(">i1"),
        b"U": np.dtype(">u1"),
        b"I": np.dtype(">i2"),
        b"l": np.dtype(">i4"),
        b"L": np.dtype(">i8"),
        b"d": np.dtype(">f4"),
        b"D": np.dtype(">f8"),
    }
)
"""The types of numbers, by their markers."""
_MARKERS = {(kind.kind, kind.itemsize): marker for marker, kind in _ARRAYS.items()}
_PLAIN: Mapping[bytes, object] = MappingProxyType({b"T": True, b"F": False, b"Z": None})
_CUT_OFF = "is cut off"


def read(data: bytes) -> Any:
    """The value that the bytes are; an array of numbers is one of numpy. Raises Broken."""
    reader = _Reader(data)
    value = reader.value(0)
    if reader.at != len(data):
        raise Broken("goes on after its end")
    return value


def write(value: Any) -> bytes:
    """The bytes of a value made of dicts, lists, texts, numbers and arrays of numpy. A float becomes one of 32 bits."""
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def value(self, depth: int) -> Any:
        """The next value."""
        if depth > DEPTH:
            raise Broken("is nested too deep")
        marker = self._take(1)
        if marker == b"{":
            return self._object(depth)
        if marker == b"[":
            return self._array(depth)
        if marker == b"S":
            return self._text()
        if marker in _PLAIN:
            return _PLAIN[marker]
        return self._number(marker)

    def _take(self, count: int) -> bytes:
        found = self._data[self.at : self.at + count]
        if len(found) != count:
            raise Broken(_CUT_OFF)
        self.at += count
        return found

    def _number(self, marker: bytes) -> int | float:
        if (kind := _ARRAYS.get(marker)) is None:
            raise Broken(f"has the byte {marker!r} where a value begins")
        found: int | float = np.frombuffer(self._take(kind.itemsize), kind)[0].item()
        return found

    def _length(self) -> int:
        found = self._number(self._take(1))
        if not isinstance(found, int) or found < 0:
            raise Broken("has a length that is no whole number")
        if found > len(self._data) - self.at:  # every element has a byte at least
            raise Broken(_CUT_OFF)
        return found

    def _text(self) -> str:
        try:
            return self._take(self._length()).decode("utf-8")
        except UnicodeDecodeError:
            raise Broken("has a text that is not UTF-8") from None

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._data[self.at : self.at + 1] != b"}":
            name = self._text()
            if name in found:
                raise Broken(f"has {name[:40]!r} twice in one object")
            found[name] = self.value(depth + 1)
        self.at += 1
        return found

    def _array(self, depth: int) -> Any:
        start = self._take(1)
        kind = None
        if start == b"$":
            marker = self._take(1)
            if (kind := _ARRAYS.get(marker)) is None:
                raise Broken(f"has an array of the type {marker!r}")
            start = self._take(1)
        if start != b"#":
            raise Broken("has an array that does not state its length")
        length = self._length()
        if kind is None:
            return [self.value(depth + 1) for _ in range(length)]
        return np.frombuffer(self._take(length * kind.itemsize), kind).astype(kind.newbyteorder("="))


def _write(value: Any, parts: list[bytes]) -> None:
    match value:
        case dict():
            parts.append(b"{")
            for name, inner in value.items():
                parts.append(_sized(name))
                _write(inner, parts)
            parts.append(b"}")
        case str():
            parts.append(b"S" + _sized(value))
        case int():
            parts.append(b"L" + struct.pack(">q", value))
        case float():
            parts.append(b"d" + struct.pack(">f", value))
        case np.ndarray():
            kind = value.dtype
            parts.append(b"[$" + _MARKERS[kind.kind, kind.itemsize] + b"#L" + struct.pack(">q", len(value)))
            parts.append(value.astype(kind.newbyteorder(">")).tobytes())
        case _:
            parts.append(b"[#L" + struct.pack(">q", len(value)))
            for inner in value:
                _write(inner, parts)


def _sized(text: str) -> bytes:
    data = text.encode()
    return b"L" + struct.pack(">q", len(data)) + data
