"""`Store`: answers by the keys of their requests, bounded in bytes and in time. Not thread-safe."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from fairlead.serving.inference.process.codec import Codec, loads

ENTRY_BYTES = 512
"""What an entry needs beside the bytes of its key and its answers."""
LARGEST = 8
"""An entry may have this part of all bytes: a larger one would displace too many."""


class _Entry(NamedTuple):
    answers: bytes
    until: float


class Store:
    """Keeps answers as bytes: so their size is known, and the author's code cannot change them afterwards.

    When there is no room, the entries that were not asked for the longest go first. `Key` may be any type with equality
    and a hash; a dictionary compares keys in full, so a collision of hashes is no hit.
    """

    def __init__(self, limit: int, ttl_s: float, codec: Codec, clock: Callable[[], float]) -> None:
        """`limit` is in bytes, `ttl_s` the seconds for which an answer is kept."""
        self._limit = limit
        self._ttl_s = ttl_s
        self._codec = codec
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self.bytes = 0
        """The bytes of all entries."""

    def get(self, key: bytes) -> list[Any] | None:
        """The answers, as objects of their own. None if there are none."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.until <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        found: list[Any] = loads(entry.answers)
        return found

    def put(self, key: bytes, answers: list[Any]) -> None:
        """Keep the answers, unless they are too large or cannot be written."""
        try:
            written = self._codec.dumps(answers)
        except Exception:  # any object of the author's that cannot be pickled
            return
        entry = _Entry(written, self._clock() + self._ttl_s)
        size = _size(key, entry)
        if size > self._limit // LARGEST:
            return
        if key in self._entries:
            self._drop(key)
        while self.bytes + size > self._limit:
            self._drop(next(iter(self._entries)))
        self._entries[key] = entry
        self.bytes += size

    def _drop(self, key: bytes) -> None:
        self.bytes -= _size(key, self._entries.pop(key))


def _size(key: bytes, entry: _Entry) -> int:
    return len(key) + len(entry.answers) + ENTRY_BYTES
