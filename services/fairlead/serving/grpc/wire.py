"""Cuts the elements in binary form out of a request before it is parsed, and puts those of a response behind it.

The parser of protocol buffers would copy each of them twice. A message is a sequence of fields, each a tag (its number
and its kind), and then its value: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterable

from fairlead import errors

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST = 10
"""The most bytes of a number."""


def divided(message: bytes | memoryview, field: int, most: int) -> tuple[bytes, list[memoryview]]:
    """The message without the values of one field of bytes, and these values as views of the message.

    Raises Invalid if it is no message, or has more than `most` fields.
    """
    view = memoryview(message)
    kept: list[memoryview] = []
    values: list[memoryview] = []
    place = count = 0
    while place < len(message):
        begin = place
        tag, place = _number(message, place)
        place, end = _value(message, place, tag & 7)
        if end > len(message):
            raise not_a_message()
        if tag == field << 3 | _LENGTH:
            values.append(view[place:end])
        else:
            kept.append(view[begin:end])
        place = end
        count += 1
        if count > most:
            raise errors.Invalid.at(("body",), f"the message has more than {most} fields", "too_many_keys")
    return b"".join(kept), values


def joined(head: bytes, field: int, values: Iterable[bytes]) -> bytes:
    """A message: these bytes, and after them the values of one field of bytes."""
    parts = [head]
    for value in values:
        parts += [_as_number(field << 3 | _LENGTH), _as_number(len(value)), value]
    return b"".join(parts)


def not_a_message(reason: str = "it is damaged") -> errors.Invalid:
    """The error of bytes that are not the message that the method takes."""
    return errors.Invalid.at(("body",), f"the message cannot be read: {reason}", "message_invalid")


def _value(message: bytes | memoryview, place: int, kind: int) -> tuple[int, int]:
    """Where the value of a field begins and ends. A group, which no message of ours has, is refused."""
    if kind == _LENGTH:
        size, place = _number(message, place)
        return place, place + size
    if kind == _VARINT:
        return place, _number(message, place)[1]
    if kind in (_FOUR_BYTES, _EIGHT_BYTES):
        return place, place + (4 if kind == _FOUR_BYTES else 8)
    raise not_a_message()


def _number(message: bytes | memoryview, place: int) -> tuple[int, int]:
    """A number at this place, and the place after it: seven bits in each byte, the lowest ones first."""
    number = 0
    for index, byte in enumerate(message[place : place + _LONGEST]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number, place + index + 1
    raise not_a_message()


def _as_number(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
