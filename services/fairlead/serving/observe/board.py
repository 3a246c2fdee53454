"""What each worker of a service says about itself now, for the others and for the process that starts them.

The workers that take connections answer for the whole service: it is ready when each of them is. All take connections
when the service starts. A worker that replaces another takes none before it is ready, unless nobody else takes any.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal, get_args

from fairlead import errors
from fairlead.serving.observe.shared_memory import NUMBER, SharedMemory, Text

Phase = Literal["loading", "warming", "ready", "hanging", "failed", "draining"]
PHASES: tuple[str, ...] = get_args(Phase)
_WORST_FIRST = ("failed", "hanging", "draining", "loading", "warming", "ready")
TEXT_BYTES = {"reason": 1024, "failure": 8192, "skipped": 1024}
"""What a worker says in words: why it is in its phase, why it cannot be served, why it asks no made-up rows."""
_PHASE, _TAKES, _BEAT, _CONNECTIONS, _FIRST_LEVEL = range(5)
LEVELS = 7
"""Gauges of each worker that add up."""


class Board:
    """One row for each worker. A worker writes its own row only; the methods with a number are for the master."""

    def __init__(self, memory: SharedMemory | None = None) -> None:
        self.memory = memory or SharedMemory()
        size = _FIRST_LEVEL + LEVELS
        self._rows = self.memory.array(size)
        self._texts = {
            name: [Text(array) for array in self.memory.array(length // NUMBER)] for name, length in TEXT_BYTES.items()
        }
        for row in self._rows:  # nobody has started yet, and each will take connections
            row[_TAKES] = 1

    @property
    def _own(self) -> memoryview[float]:
        return self._rows[self.memory.own]

    def enter(self, phase: str, reason: str) -> None:
        """This worker enters a phase, for this reason."""
        self._texts["reason"][self.memory.own].value = reason
        self._own[_PHASE] = PHASES.index(phase)

    @property
    def takes(self) -> bool:
        """Whether this worker takes connections."""
        return bool(self._own[_TAKES])

    def try_to_take(self) -> bool:
        """Take connections from now on if this worker may. Returns whether it takes them."""
        if not self.takes and (self._phase(self.memory.own) == "ready" or not self._taking_others()):
            self._own[_TAKES] = 1
        return self.takes

    def has_connections(self, count: int) -> None:
        """This worker has so many open connections."""
        self._own[_CONNECTIONS] = count

    def fewest_connections(self) -> float | None:
        """The connections of the other ready worker that has the fewest; None if there is no other."""
        ready = [one for one in self._taking_others() if self._phase(one) == "ready"]
        return min((self._rows[one][_CONNECTIONS] for one in ready), default=None)

    def beat(self, now: float) -> None:
        """This worker is alive at this time of the system's monotonic clock."""
        self._own[_BEAT] = now

    def set_levels(self, levels: Sequence[float]) -> None:
        """Gauges of this worker that add up, LEVELS at most."""
        for at, value in enumerate(levels):
            self._own[_FIRST_LEVEL + at] = value

    def levels(self) -> list[float]:
        """The sums over all workers."""
        return [sum(row[_FIRST_LEVEL + at] for row in self._rows) for at in range(LEVELS)]

    def phase(self) -> str:
        """The phase of the service: the worst one of the workers that take connections."""
        found = {self._phase(number) for number, row in enumerate(self._rows) if row[_TAKES]}
        return next((phase for phase in _WORST_FIRST if phase in found), "loading")

    def obstacle(self, phases: Sequence[str]) -> str:
        """Why another worker that takes connections is in one of these phases; empty if none is."""
        for number in self._taking_others():
            if (phase := self._phase(number)) in phases:
                return f"worker {number + 1} of {len(self._rows)}: {self._texts['reason'][number].value or phase}"
        return ""

    def is_another(self, phase: str) -> bool:
        """Whether another worker takes connections and is in this phase."""
        return any(self._phase(number) == phase for number in self._taking_others())

    def fail(self, failure: errors.FairleadError) -> None:
        """This worker cannot serve the model. The master raises the same error."""
        said = {"kind": type(failure).__name__, "message": failure.message[:1500], "hint": (failure.hint or "")[:400]}
        self._texts["failure"][self.memory.own].value = json.dumps(said, ensure_ascii=False)

    @property
    def skipped(self) -> str:
        """Why this worker asks no made-up rows. It is left to the worker that replaces it."""
        return self._texts["skipped"][self.memory.own].value

    @skipped.setter
    def skipped(self, reason: str) -> None:
        self._texts["skipped"][self.memory.own].value = reason

    def _taking_others(self) -> list[int]:
        return [number for number, row in enumerate(self._rows) if row[_TAKES] and number != self.memory.own]

    def _phase(self, number: int) -> str:
        return PHASES[int(self._rows[number][_PHASE])]

    def begin(self, number: int, *, is_first: bool) -> None:
        """A worker with this number is about to start: the first one, or one that replaces another."""
        row = self._emptied(number)
        self._texts["reason"][number].value = ""
        row[_TAKES] = float(is_first or not any(other[_TAKES] for other in self._rows))

    def ended(self, number: int) -> str:
        """The worker with this number has ended. Returns the phase it was in; its row is empty afterwards."""
        phase = self._phase(number)
        self._emptied(number)
        return phase

    def _emptied(self, number: int) -> memoryview[float]:
        row = self._rows[number]
        for at in range(len(row)):
            row[at] = 0.0
        return row

    def failure(self, number: int) -> errors.FairleadError | None:
        """Why this worker could not serve the model; None if it has not said so."""
        text = self._texts["failure"][number].value
        if not text:
            return None
        said = json.loads(text)
        kind: type[errors.FairleadError] = getattr(errors, said["kind"])
        return kind(said["message"], hint=said["hint"] or None)

    def alive_at(self, number: int) -> float | None:
        """When this worker was alive the last time, on the monotonic clock; None if it has not begun."""
        return self._rows[number][_BEAT] or None
