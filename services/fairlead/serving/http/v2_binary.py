"""Requests and responses of V2 in which tensors follow the JSON in binary form, as Triton's and KServe's clients send.

The header `inference-header-content-length` says how many bytes are JSON. After it are the elements of each input that
has the parameter `binary_data_size`, in the order of the inputs. A response has the same form where an output was asked
for with `binary_data`, or all with `binary_data_output`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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
            raise _wrong(("body", "inputs"), message, "too_many_values")
        if place + one.size > len(after):
            msg = f"the body has {len(after) - place} bytes left after the JSON, not {one.size}"
            raise _wrong((*loc, "parameters", SIZE), msg, "binary_size")
        raw = after[place : place + one.size]
        found[index] = binary_tensors.elements(one.datatype, raw, count, (*loc, "data"))
        place += one.size
    if place != len(after):
        msg = f"the body has {len(after) - place} bytes after its JSON that belong to no input"
        raise _wrong(("body",), msg, "binary_size")
    return found


def _check(one: Given, loc: tuple[str | int, ...]) -> None:
    if one.has_data:
        raise _wrong((*loc, "data"), f"must be left out beside {SIZE}: which of the two is meant?", "binary_and_json")
    if not isinstance(one.size, int) or isinstance(one.size, bool) or one.size < 0:
        raise _wrong((*loc, "parameters", SIZE), "must be a number of bytes", "int_type")
    if min(one.shape) < 0:
        raise _wrong((*loc, "shape"), "must have no negative number", "shape")


def wants_binary(parameters: Mapping[str, Any] | None, otherwise: Any) -> bool:
    """Whether an output with these parameters is to be binary; `otherwise` is what the request says for all."""
    return (parameters or {}).get(BINARY_DATA, otherwise) is True


def as_binary(output: dict[str, Any]) -> bytes:
    """The binary form of an output, whose `data` is replaced by its size. Nothing if an element has no such form."""
    raw = binary_tensors.encoded(output["datatype"], output["data"])
    if raw is None:  # it stays JSON, which clients read beside binary outputs
        return b""
    del output["data"]
    output["parameters"] = {SIZE: len(raw)}
    return raw


def _wrong(loc: tuple[str | int, ...], msg: str, kind: str) -> errors.Invalid:
    where = ".".join(str(part) for part in loc)
    return errors.Invalid(f"{where}: {msg}", details=(errors.Detail(loc, msg, kind),))
