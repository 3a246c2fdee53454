"""Calls that run out of memory are made again with half of the rows; later calls have no more than fitted.

A runtime raises OutOfMemory, and nothing here knows what a GPU is. The cap of rows doubles again after a minute without
such an error: what used the memory may have ended, as another version on the same device.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from fairlead import errors
from fairlead.serving.formats import memory_errors
from fairlead.serving.inference.batch import Compute

GROW_S = 60.0
"""How long no call runs out of memory before the cap of rows is doubled."""
Outcome = Literal["halved", "refused"]


class Halving:
    """The cap of rows in one call of a model, for all of its threads. `tell` gets what was done about each error."""

    def __init__(self, clock: Callable[[], float], tell: Callable[[Outcome], None]) -> None:
        self._clock = clock
        self._tell = tell
        self.cap: float = math.inf
        """The most rows of one call; infinite until a call runs out of memory."""
        self._since = 0.0  # when the cap was set
        self._largest = 0.0  # the rows of the largest call that ran out of memory

    def over(self, compute: Compute) -> Compute:
        """`compute` within the cap. It raises OutOfMemory if a row does not fit alone."""

        def call(rows: list[Any]) -> list[Any]:
            if self.cap != math.inf:
                return self._in_parts(compute, rows)
            try:
                return compute(rows)
            except errors.OutOfMemory:
                pass
            self._halve(len(rows))
            return self._in_parts(compute, rows)

        return call

    def _in_parts(self, compute: Compute, rows: list[Any]) -> list[Any]:
        answers: list[Any] = []
        while len(answers) < len(rows):
            part = rows[len(answers) : len(answers) + int(min(self._now(), len(rows)))]
            try:
                answers += compute(part)
                continue
            except errors.OutOfMemory:
                pass
            self._halve(len(part))
        return answers

    def _halve(self, count: int) -> None:
        """A call with so many rows found no memory. Raises OutOfMemory if it had only one."""
        memory_errors.give_back()
        self._since = self._clock()
        if count == 1:
            self._tell("refused")
            raise errors.OutOfMemory(
                "there is not enough memory to compute this row, even alone",
                hint="Send it again later, or send a smaller one.",
            )
        self._largest = max(self._largest, count)
        self.cap = min(self.cap, count // 2)
        self._tell("halved")

    def _now(self) -> float:
        """The cap, doubled for each minute in which no call ran out of memory."""
        if self._clock() - self._since >= GROW_S:
            self._since = self._clock()
            self.cap *= 2
            if self.cap > self._largest:
                self.cap, self._largest = math.inf, 0.0
        return self.cap
