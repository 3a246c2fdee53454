"""Named numbers in shared memory: each worker counts for itself, and any of them can add up what all have counted."""

from __future__ import annotations

from fairlead.serving.observe.shared_memory import NUMBER, SharedMemory

_LENGTH = 2
"""Bytes of the length of a name."""


class Counts:
    """Numbers by name. New ones start at 0, and go on where an earlier worker with the same number stopped.

    One thread writes. A name with more than `name_bytes` bytes of UTF-8 is cut.
    """

    def __init__(self, memory: SharedMemory, capacity: int, name_bytes: int) -> None:
        self._capacity = capacity
        self._name_size = -(-(_LENGTH + name_bytes) // NUMBER) * NUMBER
        arrays = memory.array(1 + capacity + capacity * self._name_size // NUMBER)
        self._workers = [_OfOneWorker(array, capacity, self._name_size) for array in arrays]
        own = self._workers[memory.own]
        self._own = own
        self.numbers = own.numbers
        """The numbers of this worker, at the places that `place` returns."""
        self._places = {name: at for at, name in enumerate(own.names())}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def place(self, name: str) -> int:
        """The place of a number of this worker. New names get the next places. Raises IndexError if all are taken."""
        found = self._places.get(name)
        if found is None:
            found = len(self._places)
            if found >= self._capacity:
                raise IndexError(f"there are only {self._capacity} places")
            self._own.write(found, name)
            self._places[name] = found
        return found

    def add(self, name: str, more: float = 1) -> None:
        """Count for this worker."""
        self.numbers[self.place(name)] += more

    def totals(self) -> dict[str, float]:
        """The sums over all workers by name, in the order in which a worker first used the name."""
        found: dict[str, float] = {}
        for worker in self._workers:
            for name, value in zip(worker.names(), worker.numbers, strict=False):
                found[name] = found.get(name, 0.0) + value
        return found


class _OfOneWorker:
    """Layout: how many names there are, the numbers, the names. Names are only appended, so readers keep them."""

    def __init__(self, array: memoryview[float], capacity: int, name_size: int) -> None:
        self._used = array[:1]
        self.numbers = array[1 : 1 + capacity]
        self._text = array[1 + capacity :].cast("B")
        self._name_size = name_size
        self._known: list[str] = []

    def write(self, at: int, name: str) -> None:
        text = name.encode(errors="replace")[: self._name_size - _LENGTH]
        start = at * self._name_size
        self._text[start : start + _LENGTH + len(text)] = len(text).to_bytes(_LENGTH) + text
        self._used[0] = at + 1  # from here on readers see it

    def names(self) -> list[str]:
        for at in range(len(self._known), int(self._used[0])):
            start = at * self._name_size
            size = int.from_bytes(self._text[start : start + _LENGTH])
            text = bytes(self._text[start + _LENGTH : start + _LENGTH + size])
            self._known.append(text.decode(errors="ignore"))
        return self._known
