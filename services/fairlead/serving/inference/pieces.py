"""Decodes a large list of rows in pieces: the validation of one piece holds the interpreter for some milliseconds.

Nothing can interrupt the validation of a body, also on another thread. Between two pieces the event loop goes on. A
piece is the text of whole rows as the client sent it, so each value means the same as in the whole body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from fairlead import errors
from fairlead.serving import interpreter
from fairlead.serving.inference import contract

Decode = Callable[[bytes], list[BaseModel]]
PIECE_BYTES = 32 * 1024
"""The bytes of a piece, which is one row if that is longer. Rows of many small objects need up to 0.4 ms per KiB."""
_BRACKETS = {"{": 1, "[": 1, "}": -1, "]": -1}
_STEP = np.array([_BRACKETS.get(chr(byte), 0) for byte in range(256)], dtype=np.int8)
_IS_MARK = np.array([chr(byte) in '{}[],"' for byte in range(256)])


class Rows(NamedTuple):
    """Where the rows of a list are in a body: from `start` to `end`, with `commas` between them."""

    start: int
    end: int
    commas: np.ndarray

    def pieces(self) -> Iterator[tuple[int, int, int]]:
        """The index of the first row of each piece, and where the piece begins and ends."""
        first, begin = 0, self.start
        while self.end - begin > PIECE_BYTES and first < len(self.commas):
            # At least one row, and else as many as have room.
            last = max(first, int(np.searchsorted(self.commas, begin + PIECE_BYTES, side="right")) - 1)
            yield first, begin, int(self.commas[last])
            first, begin = last + 1, int(self.commas[last]) + 1
        yield first, begin, self.end


def find_rows(body: bytes) -> Rows | None:
    """The rows of a body that is a list, or an object with a list: of several, the longest.

    None if there is none, or if its brackets say already that it is not JSON. Whether it is, only the pieces say.
    """
    # Of the same length, so that places stay: an escaped quote ends no text.
    text = body.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in body else body
    characters = np.frombuffer(text, np.uint8)
    places = np.flatnonzero(_IS_MARK[characters])
    marks = characters[places]
    is_quote = marks == ord('"')
    outside = (np.cumsum(is_quote, dtype=np.uint8) % 2 == 0) & ~is_quote
    places, marks = places[outside], marks[outside]
    depth = np.cumsum(_STEP[marks], dtype=np.int32)
    if not len(marks) or depth[-1] != 0 or (depth[:-1] < 1).any():
        return None
    level = 1 if marks[0] == ord("[") else 2
    opened = np.flatnonzero((_STEP[marks] > 0) & (depth == level))
    closed = np.flatnonzero((_STEP[marks] < 0) & (depth == level - 1))[: len(opened)]
    lengths = np.where(marks[opened] == ord("["), places[closed] - places[opened], 0)
    if not lengths.any():
        return None
    first, last = opened[lengths.argmax()], closed[lengths.argmax()]
    inside = slice(first, last)
    commas = places[inside][(marks[inside] == ord(",")) & (depth[inside] == level)]
    return Rows(int(places[first]) + 1, int(places[last]), commas)


def decoder(terms: contract.Contract, whole: Decode, place: tuple[str, ...]) -> Decode:
    """A function that decodes as `whole`, a large body in pieces. `place` is that of the list of rows in the body.

    It raises Invalid for the first piece that is wrong.
    """

    def decode(body: bytes) -> list[BaseModel]:
        if len(body) <= PIECE_BYTES or (found := _divided(terms, body)) is None:
            return whole(body)
        if (count := len(found.commas) + 1) > terms.max_rows:
            raise contract.too_many_rows(place, terms.max_rows, count)
        rows: list[BaseModel] = []
        for first, begin, end in found.pieces():
            if not body[begin:end].strip():  # a comma too many, which only the whole body shows
                return whole(body)
            interpreter.give_way()
            try:
                if first:
                    rows += terms.decode_many(b"[%b]" % body[begin:end])
                else:  # with all that is around the rows
                    rows += whole(body[: found.start] + body[begin:end] + body[found.end :])
            except errors.Invalid as problem:
                # A quote too many moves the ends of pieces, so only the whole body shows the place of the error. It is
                # read as far as that, and nothing of it is validated.
                if problem.details[0].type == "json_invalid":
                    return whole(body)
                raise contract.moved(problem, place, first) if first else problem from None
        return rows

    return decode


def _divided(terms: contract.Contract, body: bytes) -> Rows | None:
    if not terms.bounds.is_divisible:
        return None
    terms.bounds.check_rows(body)
    return find_rows(body)
