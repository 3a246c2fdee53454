"""Long work on large texts that leaves the interpreter to other threads in between.

One call of C on a text of 20 MB holds the interpreter for 10 ms, and for longer where the processors are busy. Probes
then wait for several such calls. So large texts are counted, searched and copied in parts.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

_PART = 2**20
"""The bytes that are counted, searched or copied at once: less than 1 ms."""
_PAUSE_S = 1e-6


def give_way() -> None:
    """Sleep so shortly that only a thread which waits for the interpreter notices.

    A waiting thread asks for the interpreter only once the same thread has held it for 5 ms without a break. numpy
    gives it up for microseconds, many times in a call: too short for the other thread to wake up, and its 5 ms begin
    again. So the event loop waited for all parts of a body, up to 140 ms of processor time, on a machine that wakes
    threads slowly.
    """
    time.sleep(_PAUSE_S)


def count(text: bytes, character: bytes) -> int:
    """How often one character occurs. Short texts are counted in one call."""
    if len(text) <= _PART:
        return text.count(character)
    found = 0
    for start in starts(len(text)):
        found += text.count(character, start, start + _PART)
    return found


def find(text: bytes, words: bytes, start: int) -> int:
    """The place of the first occurrence from `start` on, -1 if there is none, as `bytes.find`."""
    overlap = len(words) - 1
    for begin in starts(len(text), start):
        if (place := text.find(words, begin, begin + _PART + overlap)) >= 0:
            return place
    return -1


def copied(view: memoryview) -> bytes:
    """The bytes of a view."""
    if len(view) <= _PART:
        return bytes(view)
    copy = io.BytesIO()
    for start in starts(len(view)):
        copy.write(view[start : start + _PART])
    return copy.getvalue()


def starts(end: int, start: int = 0, size: int = 0) -> Iterator[int]:
    """Where the parts of a text begin, of `size` or of the usual size, with a pause between two of them."""
    for begin in range(start, end, size or _PART):
        if begin > start:
            give_way()
        yield begin
