"""Requests and responses of V2 in which tensors follow the JSON in binary form, as Triton's and KServe's clients send.

The header `inference-header-content-length` says how many bytes are JSON. After it are the elements of each input that
has the parameter `binary_data_size`, in the order of the inputs. A response has the same form where an output was asked
for with `binary_data`, or all with `binary_data_output`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from fairlead import errors
from fairlead.serving.inference import binary_tensors
from fairlead.serving.open_inference.messages import InputTensor

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


def divided(inputs: Sequence[InputTensor], after: memoryview) -> dict[int, memoryview]:
    """The bytes of the inputs in binary form, by the index of the input. Raises Invalid.

    `after` are the bytes after the JSON.
    """
    found: dict[int, memoryview] = {}
    place = 0
    for index, one in enumerate(inputs):
        size = (one.parameters or {}).get(SIZE)
        if size is None:
            continue
        loc = ("body", "inputs", index)
        if one.data is not None:
            raise errors.Invalid.at(
                (*loc, "data"), f"must be left out beside {SIZE}: which of the two is meant?", "binary_and_json"
            )
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise errors.Invalid.at((*loc, "parameters", SIZE), "must be a number of bytes", "int_type")
        if place + size > len(after):
            msg = f"the body has {len(after) - place} bytes left after the JSON, not {size}"
            raise errors.Invalid.at((*loc, "parameters", SIZE), msg, "binary_size")
        found[index] = after[place : place + size]
        place += size
    return found


def check_rest(raw: Mapping[int, memoryview], after: memoryview) -> None:
    """Raise Invalid if not all bytes after the JSON are those of the inputs, which `divided` has returned."""
    if rest := len(after) - sum(map(len, raw.values())):
        msg = f"the body has {rest} bytes after its JSON that belong to no input"
        raise errors.Invalid.at(("body",), msg, "binary_size")


def elements(
    inputs: Sequence[InputTensor], raw: Mapping[int, memoryview], files: Collection[str], limit: int
) -> dict[int, list[Any]]:
    """The elements of the inputs whose bytes are in `raw`, by the index of the input. Raises Invalid.

    The elements of the inputs named in `files` are files. `limit` is the most elements of all inputs.
    """
    found: dict[int, list[Any]] = {}
    total = 0
    for index, part in raw.items():
        one, loc = inputs[index], ("body", "inputs", index)
        if min(one.shape) < 0:
            raise errors.Invalid.at((*loc, "shape"), "must have no negative number", "shape")
        count = math.prod(one.shape)
        total += count
        if total > limit:
            message = f"the inputs have more than {limit} elements. Send them in several requests"
            raise errors.Invalid.at(("body", "inputs"), message, "too_many_values")
        if one.name in files and one.datatype == "BYTES":
            found[index] = binary_tensors.files(part, count, (*loc, "data"))
        else:
            found[index] = binary_tensors.elements(one.datatype, part, count, (*loc, "data"))
    return found


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

    @property
    def raw(self) -> bytes | None:
        """The elements in binary form; None if one has none, or the client asked for JSON."""
        return None if self._raw is None else b"".join(self._raw)

    @property
    def data(self) -> list[Any]:
        """The elements as JSON values."""
        return self._data

    def written(self) -> tuple[dict[str, Any], bytes]:
        """The members of the output in the JSON of the response, and the bytes after it."""
        raw = self.raw
        if raw is None:
            return {"data": self._data}, b""
        return {"parameters": {SIZE: len(raw)}}, raw
