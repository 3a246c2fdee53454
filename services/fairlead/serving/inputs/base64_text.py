"""Reads base64 as clients write it: either alphabet, with line breaks, with or without padding, or as a data URL."""

from __future__ import annotations

import binascii
import io

from fairlead.serving import interpreter

_PART = 2**18
"""Characters that are read at once. Reading holds the interpreter, here for less than 1 ms."""
_SPACE = "\n\r \t"
_MOST_PADDING = 1024
"""The most characters of padding and space at the end: a text of nothing else is not searched for its end."""
_PLAIN = str.maketrans("-_", "+/", _SPACE)


def decoded(text: str) -> bytes:
    """The bytes that the text stands for. Raises ValueError if it is not base64."""
    begin = 0
    if text.startswith("data:"):
        begin = text.find(",") + 1
        if not text.endswith(";base64", 0, begin - 1):
            raise ValueError("a data URL that is not in base64")
    if not text.isascii():
        raise ValueError("it is not ASCII")
    is_plain = not any(mark in text for mark in f"-_{_SPACE}")
    tail = text[max(begin, len(text) - _MOST_PADDING) :]
    end = len(text) - len(tail) + len(tail.rstrip(f"={_SPACE}"))
    if text.find("=", begin, end) >= 0:
        raise ValueError("padding is not at the end")
    found, rest = io.BytesIO(), ""
    for start in interpreter.starts(end, begin, _PART):
        part = text[start : min(start + _PART, end)]
        part = rest + (part if is_plain else part.translate(_PLAIN))
        whole = len(part) // 4 * 4
        found.write(binascii.a2b_base64(part[:whole], strict_mode=True))
        rest = part[whole:]
    found.write(binascii.a2b_base64(rest + "=" * (-len(rest) % 4), strict_mode=True))
    return found.getvalue()
