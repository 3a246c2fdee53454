"""Bounds the bytes of the answers to one request while they are encoded, not after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from fairlead import errors

SLICE_ROWS = 256
"""Answers that are encoded at once. The limit is checked after each slice."""
T = TypeVar("T")


class AnswerLimit:
    """Counts the encoded bytes of the answers to one request."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0

    def counted(self, part: bytes) -> bytes:
        """Return the part. Raises Invalid if all parts together are above the limit."""
        self._size += len(part)
        if self._size > self._limit:
            raise too_large(self._limit)
        return part


def too_large(limit: int) -> errors.Invalid:
    """The error of answers above the limit.

    Invalid, not ModelFailed: who asks for more rows than fit must not count as a failure of the version.
    """
    message = f"the answers are larger than {limit} bytes; send the rows in several requests"
    return errors.Invalid(message, details=(errors.Detail(("body",), message, "answers_too_large"),))


def slices(answers: Sequence[T]) -> Iterator[Sequence[T]]:
    """The answers in slices of at most `SLICE_ROWS`."""
    for start in range(0, len(answers), SLICE_ROWS):
        yield answers[start : start + SLICE_ROWS]
