"""Keeps the last value that was made for each of a few names, for as long as what it was made of stays the same."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")
KEPT = 64
"""How many names are kept: those that were asked for last."""


class Memo(Generic[Value]):
    """Any thread may use it. Two threads may make the same value at the same time."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept, self._known = kept, OrderedDict[str, tuple[object, Value]]()
        self._lock = threading.Lock()

    def get(self, name: str, made_of: object, make: Callable[[Value | None], Value]) -> Value:
        """The value of `name`. `make` is called with the last one if there is none, or if `made_of` differs."""
        with self._lock:
            known = self._known.get(name)
        if known is not None and known[0] == made_of:
            return known[1]
        value = make(known[1] if known is not None else None)
        with self._lock:
            self._known[name] = made_of, value
            self._known.move_to_end(name)
            while len(self._known) > self._kept:
                self._known.popitem(last=False)
        return value
