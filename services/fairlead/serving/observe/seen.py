"""`Seen`: which keys have come before, in memory of a fixed size that all workers of a service share."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from hashlib import blake2b

from fairlead.serving.observe.shared_memory import SharedMemory

KEY_BYTES = 8
WAYS = 8
"""How many keys share a set. The oldest of a full set makes room for a new one."""
_SET_BYTES = KEY_BYTES * WAYS


class Seen:
    """The digests of keys, in sets by their value: a look-up reads one set, whatever the size."""

    def __init__(self, memory: SharedMemory, size: int) -> None:
        """`size` is in bytes; a rest of less than a set is not used."""
        self._sets = size // _SET_BYTES
        self._slots = memory.common(self._sets * _SET_BYTES).cast("Q")
        self._lock = memory.lock
        self._secret = memory.epoch.encode()  # nobody can choose keys that push out others

    def add(self, keys: Iterable[str]) -> list[bool]:
        """Remember keys. Returns for each whether it is new."""
        with self._lock:
            return [self._add(key) for key in keys]

    def _add(self, key: str) -> bool:
        number = int.from_bytes(blake2b(key.encode(), digest_size=KEY_BYTES, key=self._secret).digest()) or 1
        start = number % self._sets * WAYS
        found = self._slots[start : start + WAYS].tolist()
        if number in found:
            return False
        self._slots[start : start + WAYS] = memoryview(array("Q", [number, *found[:-1]]))
        return True
