"""Reads what an ONNX file says about itself, without onnxruntime: its inputs and outputs, and the files that it names.

An ONNX file is one protobuf message. This reader walks over its fields and skips the weights. So the types of a model
are known before its runtime is started, and a file that is cut off, or names data outside of its folder, is refused
with a sentence.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from fairlead import errors

# The numbers of the fields in onnx.proto3. A path of messages that may hold tensors: graph, node, attribute, subgraph.
IR_VERSION, GRAPH, OPSET, FUNCTION = 1, 7, 8, 25
NODE, INITIALIZER, INPUT, OUTPUT, SPARSE = 1, 5, 11, 12, 15
_TENSORS: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        "model": {GRAPH: "graph", FUNCTION: "function"},
        "graph": {NODE: "node", INITIALIZER: "tensor", SPARSE: "sparse"},
        "function": {7: "node", 11: "attribute"},
        "node": {5: "attribute"},
        "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
        "sparse": {1: "tensor", 2: "tensor"},
        "tensor": {13: "external"},
    }
)
"""The fields of each message that lead to the external data of a tensor."""
_DEPTH = 64
"""How deep subgraphs may be nested: each is five messages."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Value:
    """An input or an output of a graph. `element` is the number of its type in onnx.proto3; 0: it is no tensor.

    `shape` has None for a dimension that the graph leaves open, and is None if the graph does not say the rank.
    `dimensions` has the names of the open ones; an empty text for the others.
    """

    name: str
    element: int
    shape: tuple[int | None, ...] | None
    dimensions: tuple[str, ...] = ()


@dataclass(slots=True)
class Graph:
    """What an ONNX file says about itself. `external` has the `external_data` of each tensor that has some."""

    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    external: list[Mapping[str, str]] = field(default_factory=list)


class _Broken(Exception):
    """The bytes are no message."""


def read(path: Path) -> Graph:
    """Read an ONNX file. Raises Invalid if it is none, or is cut off."""
    try:
        with path.open("rb") as file:
            found = _graph(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except (_Broken, ValueError, RecursionError) as cause:  # mmap raises ValueError for an empty file
        raise errors.Invalid(
            f"format 'onnx': {path.name} is not a complete ONNX file: {cause}",
            hint="Export the model again, or copy the whole file: `onnx.checker.check_model(PATH)` says more.",
        ) from None
    if not found.inputs and not found.outputs:
        raise errors.Invalid(f"format 'onnx': {path.name} is not an ONNX file: it has no graph with inputs and outputs")
    return found


def check_external(graph: Graph, model: Path) -> None:
    """Raise Invalid unless all external data of the tensors is inside files beside the model, or below."""
    root = model.parent.resolve()
    for entry in graph.external:
        location = entry.get("location", "")
        parts = PurePosixPath(location).parts
        file = root / location
        if not parts or location.startswith("/") or ".." in parts or "\\" in location or file.is_symlink():
            raise errors.Invalid(
                f"format 'onnx': {model.name} reads weights from {location!r}, which is outside the artifact",
                hint="Save the model with `save_as_external_data=True` and a `location` without folders.",
            )
        if not file.is_file() or not file.resolve().is_relative_to(root):
            raise errors.Invalid(
                f"format 'onnx': {model.name} has weights in {location!r}, which the artifact does not contain",
                hint="Put both files into one folder, and name that in `artifact`; or save the model in one file.",
            )
        start, size = _whole(entry.get("offset", "0")), _whole(entry.get("length", "0"))
        if start is None or size is None or start + size > file.stat().st_size:
            raise errors.Invalid(
                f"format 'onnx': {location} is not complete: {model.name} reads {entry.get('length')} bytes at "
                f"{entry.get('offset', 0)}, and it has {file.stat().st_size}",
                hint="Copy the whole file again.",
            )


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _graph(view: memoryview) -> Graph:
    found = Graph()
    for number, value in _fields(view):
        if number == IR_VERSION and isinstance(value, int):
            found.ir_version = value
        elif number == OPSET:
            domain, version = _strings(value, 1), [part for at, part in _fields(value) if at == 2]
            found.opsets[domain[-1] if domain else ""] = _number(version[-1]) if version else 0
        elif number == GRAPH:
            initial = {name for at, part in _fields(value) if at == INITIALIZER for name in _strings(part, 8)[-1:]}
            for at, part in _fields(value):
                if at == INPUT:
                    found.inputs.append(_value(part))
                elif at == OUTPUT:
                    found.outputs.append(_value(part))
            found.inputs = [one for one in found.inputs if one.name not in initial]  # those have a default
    _external(view, "model", found.external, 0)
    return found


def _external(view: Any, kind: str, found: list[Mapping[str, str]], depth: int) -> None:
    if depth > _DEPTH:
        raise _Broken("its graphs are nested too deep")
    entries: dict[str, str] = {}
    for number, value in _fields(view):
        inner = _TENSORS[kind].get(number)
        if inner == "external":
            key, text = _strings(value, 1), _strings(value, 2)
            entries[key[-1] if key else ""] = text[-1] if text else ""
        elif inner is not None:
            _external(value, inner, found, depth + 1)
    if entries:
        found.append(entries)


def _value(view: Any) -> Value:
    names = _strings(view, 1)
    element, shape = 0, None
    dimensions: tuple[str, ...] = ()
    for _, kind in _only(view, 2):  # TypeProto
        for _, tensor in _only(kind, 1):  # TypeProto.Tensor
            element = next((_number(value) for _, value in _only(tensor, 1)), 0)
            for _, stated in _only(tensor, 2):
                parts = [one for _, one in _only(stated, 1)]
                shape = tuple(_size(dict(_fields(one)).get(1)) for one in parts)
                dimensions = tuple("" if size else _text(one) for size, one in zip(shape, parts, strict=True))
    return Value(names[-1] if names else "", element, shape, dimensions)


def _text(dimension: Any) -> str:
    """The name of a dimension, or an empty text."""
    return ([""] + _strings(dimension, 2))[-1]


def _size(value: object) -> int | None:
    """A dimension. Exporters write 0 or -1, a number of 64 bits, for one that they do not know."""
    return value if isinstance(value, int) and 0 < value < 2**63 else None


def _only(view: Any, number: int) -> Iterator[tuple[int, Any]]:
    return ((at, value) for at, value in _fields(view) if at == number)


def _strings(view: Any, number: int) -> list[str]:
    """All texts of a field. Where a message has one and the file has several, the last counts, as in protobuf."""
    return [bytes(_message(value)).decode("utf-8", "replace") for _, value in _only(view, number)]


def _message(value: Any) -> memoryview:
    if not isinstance(value, memoryview):
        raise _Broken("a field has another type than ONNX gives it")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise _Broken("a field has another type than ONNX gives it")
    return value


def _fields(message: Any) -> Iterator[tuple[int, Any]]:
    """The number and the value of each field of a message: an int, or the bytes. Raises _Broken."""
    view = _message(message)
    at, end = 0, len(view)
    while at < end:
        key, at = _varint(view, at)
        if key >= 2**32:  # protobuf may cut it off, and read another field
            raise _Broken("it has bytes that are no field of a message")
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(view, at)
            yield number, value
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        elif kind == _BYTES:
            size, at = _varint(view, at)
            if at + size > end:
                raise _Broken("it ends in the middle of a field")
            yield number, view[at : at + size]
            at += size
        else:
            raise _Broken("it has bytes that are no field of a message")
    if at > end:
        raise _Broken("it ends in the middle of a field")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            raise _Broken("it ends in the middle of a field")
        byte = view[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
    raise _Broken("it has a number that is too long")
