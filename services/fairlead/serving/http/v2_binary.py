"""Requests and responses of V2 in which tensors follow the JSON in binary form, as Triton's and KServe's clients send.

The header `inference-header-content-length` says how many bytes are JSON. After it are the elements of each input that
has the parameter `binary_data_size`, in the order of the inputs. A response has the same form where an output was asked
for with `binary_data`, or all with `binary_data_output`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from fairlead import errors
from fairlead.serving.inference import binary_tensors

HEADER = b"inference-header-content-length"
CONTENT_TYPE = b"application/octet-stream"
SIZE = "binary_data_size"
BINARY_DATA, BINARY_OUTPUT = "binary_data", "binary_data_output"
"""Parameters of one output, and of the request for all outputs."""
_DIGITS = 12


class Mixed(NamedTuple):
    """A response: JSON of `json_size` bytes, and tensors in binary form after it."""

    body: bytes
    json_size: int


def json_size(header: bytes, body: bytes) -> int:
    """How many bytes of the body are JSON. Raises Invalid if the header does not say it."""
    if header.isdigit() and len(header) <= _DIGITS and int(header) <= len(body):
        return int(header)
    msg = f"must be the number of bytes of JSON at the beginning of the body, which has {len(body)}"
    loc = ("header", HEADER.decode())
    raise errors.Invalid(f"{loc[1]} {msg}", details=(errors.Detail(loc, msg, "int_parsing"),))


class Given(NamedTuple):
    """What a request says of one input: how its elements are found in the bytes after the JSON."""

    datatype: str
    shape: Sequence[int]
    size: Any
    """The parameter `binary_data_size`; None for an input whose elements are in the JSON."""
    has_data: bool
    is_file: bool = False
    """Whether each element is a file."""


def elements(inputs: Sequence[Given], after: memoryview, limit: int) -> dict[int, list[Any]]:
    """The elements of the inputs in binary form, by the index of the input. Raises Invalid.

    `after` are the bytes after the JSON. `limit` is the most elements of all inputs.
    """
    found: dict[int, list[Any]] = {}
    place = total = 0
    for index, one in enumerate(inputs):
        if one.size is None:
            continue
        loc = ("body", "inputs", index)
        _check(one, loc)
        count = math.prod(one.shape)
        total += count
        if total > limit:
            message = f"the inputs have more than {limit} elements. Send them in several requests"
            raise errors.Invalid.at(("body", "inputs"), message, "too_many_values")
        if place + one.size > len(after):
            msg = f"the body has {len(after) - place} bytes left after the JSON, not {one.size}"
            raise errors.Invalid.at((*loc, "parameters", SIZE), msg, "binary_size")
        raw = after[place : place + one.size]
        if one.is_file and one.datatype == "BYTES":
            found[index] = binary_tensors.files(raw, count, (*loc, "data"))
        else:
            found[index] = binary_tensors.elements(one.datatype, raw, count, (*loc, "data"))
        place += one.size
    if place != len(after):
        msg = f"the body has {len(after) - place} bytes after its JSON that belong to no input"
        raise errors.Invalid.at(("body",), msg, "binary_size")
    return found


def _check(one: Given, loc: tuple[str | int, ...]) -> None:
    if one.has_data:
        raise errors.Invalid.at(
            (*loc, "data"), f"must be left out beside {SIZE}: which of the two is meant?", "binary_and_json"
        )
    if not isinstance(one.size, int) or isinstance(one.size, bool) or one.size < 0:
        raise errors.Invalid.at((*loc, "parameters", SIZE), "must be a number of bytes", "int_type")
    if min(one.shape) < 0:
        raise errors.Invalid.at((*loc, "shape"), "must have no negative number", "shape")


def wants_binary(parameters: Mapping[str, Any] | None, otherwise: Any) -> bool:
    """Whether an output with these parameters is to be binary; `otherwise` is what the request says for all."""
    said = (parameters or {}).get(BINARY_DATA)
    return (otherwise if said is None else said) is True


def check_switch(parameters: Mapping[str, Any] | None, name: str, loc: tuple[str | int, ...]) -> None:
    """Raise Invalid if this parameter is neither true nor false: ignoring it would give the client another form."""
    if not isinstance((parameters or {}).get(name), bool | None):
        raise errors.Invalid.at((*loc, "parameters", name), "must be true or false", "bool_type")


class Column:
    """One output of a response of which some are binary. It is JSON too if an element has no binary form."""

    def __init__(self, datatype: str, *, as_json: bool) -> None:
        """`as_json`: the client asked for JSON."""
        self._datatype = datatype
        self._raw: list[bytes] | None = None if as_json else []
        self._data: list[Any] = []

    def add(self, data: list[Any]) -> bytes:
        """Add elements. Returns them as they are to be sent."""
        self._data += data
        raw = binary_tensors.encoded(self._datatype, data) if self._raw is not None else None
        if self._raw is None or raw is None:
            self._raw = None
            return orjson.dumps(data)
        self._raw.append(raw)
        return raw

    def written(self) -> tuple[dict[str, Any], bytes]:
        """The members of the output in the JSON of the response, and the bytes after it."""
        if self._raw is None:
            return {"data": self._data}, b""
        raw = b"".join(self._raw)
        return {"parameters": {SIZE: len(raw)}}, raw
