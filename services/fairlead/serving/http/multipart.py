"""Reads the parts of a body that is multipart/form-data (RFC 7578), as `curl -F` and the forms of browsers send it.

The whole body is in memory and its size is limited. It is searched at the speed of C, and only the content of a part
is copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from fairlead import errors
from fairlead.serving import interpreter

_LONGEST_BOUNDARY = 70
_HEAD_BYTES = 8192
_MOST_LINES = _MOST_PARAMETERS = 16
"""Header lines of a part, and parameters of a header. A form can have thousands of parts, and the event loop waits."""
_PARAMETER = re.compile(r';[ \t]*([^\s=;"]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.){0,1024})"|([^\s;"]*))[ \t]*', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PLACE = ("body",)


class Part(NamedTuple):
    """One field of a form. `name` is empty if the part has none."""

    name: str
    content: bytes


def parts(content_type: bytes, body: bytes, most: int) -> list[Part]:
    """The parts of a body with this content type. Raises Invalid if it is no form, or has more than `most` parts."""
    boundary = _parameter(content_type.decode("latin-1"), "boundary").encode("latin-1")
    if not 1 <= len(boundary) <= _LONGEST_BOUNDARY:
        raise _wrong("the content-type names no boundary, which separates the parts")
    found: list[Part] = []
    for section in _sections(body, b"\r\n--" + boundary):
        if bytes(section[:2]) == b"--":
            if not found:
                raise _wrong("the form has no part")
            return found
        if len(found) == most:
            raise errors.Invalid.at(_PLACE, f"the form has more than {most} parts; send fewer files", "too_long")
        found.append(_part(section))
    raise _wrong("the form does not end with its boundary and two hyphens: it is not complete")


def _sections(body: bytes, line: bytes) -> Iterator[memoryview]:
    """What follows each boundary, until the next one. Before the first boundary there is nothing that counts."""
    view, first = memoryview(body), line.removeprefix(b"\r\n")
    begin = len(first) if body.startswith(first) else _after(body, line, 0)
    while begin:
        after = _after(body, line, begin)
        yield view[begin : after - len(line)] if after else view[begin:]
        begin = after


def _after(body: bytes, line: bytes, start: int) -> int:
    """Where the next boundary ends; 0 if there is none."""
    place = interpreter.find(body, line, start)
    return place + len(line) if place >= 0 else 0


def _part(section: memoryview) -> Part:
    padding, begin, rest = bytes(section[: _HEAD_BYTES + 2]).partition(b"\r\n")
    if not begin or padding.strip(b" \t"):
        raise _wrong("a boundary is not followed by a line break")
    # A part may have no headers at all.
    end = 0 if rest.startswith(b"\r\n") else rest.find(b"\r\n\r\n", 0, _HEAD_BYTES)
    if end < 0:
        raise _wrong("a part has no empty line after its headers")
    name = ""
    lines = rest[:end].decode("utf-8", "replace").split("\r\n", _MOST_LINES)
    if len(lines) > _MOST_LINES:
        raise _wrong(f"a part has more than {_MOST_LINES} headers")
    for line in lines:
        key, _, value = line.partition(":")
        match key.strip().lower():
            case "content-disposition":
                name = _parameter(value, "name")
            case "content-transfer-encoding" if value.strip().lower() not in ("binary", "8bit", "7bit"):
                raise _wrong("a part has a content-transfer-encoding: send the bytes as they are")
    content = len(padding) + 2 + (end + 4 if end else 2)
    return Part(name, interpreter.copied(section[content:]))


def _parameter(value: str, name: str) -> str:
    """The parameter of a header with this value; empty if it has none among its first parameters."""
    place = value.find(";")
    for _ in range(_MOST_PARAMETERS):
        if place < 0 or (found := _PARAMETER.match(value, place)) is None:
            return ""
        key, quoted, plain = found.groups()
        if key.lower() == name:
            return _ESCAPED.sub(r"\1", quoted) if quoted is not None else plain
        place = found.end()
    return ""


def _wrong(message: str) -> errors.Invalid:
    return errors.Invalid.at(_PLACE, message, "multipart")
