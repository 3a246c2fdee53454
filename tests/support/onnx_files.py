"""Writes small ONNX files byte by byte, for tests that run where the package onnx is not installed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

FLOAT, INT64, MAP = 1, 7, 0


def value(name: str, shape: Sequence[int | str | None] | None, element: int = FLOAT) -> bytes:
    """An input or an output. A dimension is a number, the name of an open one, or None. `shape` None: no rank."""
    if element == MAP:
        return field(1, name) + field(2, field(4, field(2, b"")))
    dimensions = None
    if shape is not None:
        dimensions = b"".join(field(1, dimension(size)) for size in shape)
    tensor = field(1, element) + (b"" if dimensions is None else field(2, dimensions))
    return field(1, name) + field(2, field(1, tensor))


def dimension(size: int | str | None) -> bytes:
    """A dimension of a shape."""
    return b"" if size is None else field(1 if isinstance(size, int) else 2, size)


def tensor(name: str, external: Mapping[str, str] = {}, raw: bytes = b"") -> bytes:
    """Weights, in the file or in another one."""
    entries = [field(13, field(1, key) + field(2, text)) for key, text in external.items()]
    return field(8, name) + field(9, raw) + b"".join(entries)


def model(
    inputs: Iterable[bytes], outputs: Iterable[bytes], tensors: Iterable[bytes] = (), nodes: Iterable[bytes] = ()
) -> bytes:
    """A whole file, with IR version 10 and operator set 22."""
    parts = [*(field(1, node) for node in nodes), field(2, "graph"), *(field(5, one) for one in tensors)]
    parts += [*(field(11, one) for one in inputs), *(field(12, one) for one in outputs)]
    return field(1, 10) + field(7, b"".join(parts)) + field(8, field(1, "") + field(2, 22))


def field(number: int, content: int | str | bytes) -> bytes:
    """A field of a message."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(number: int) -> bytes:
    """A number, as protobuf writes it."""
    number %= 2**64
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])
