"""The gateways' counters at both ends of a window, and how the next reading recovers a missed one.

Raw counters are kept here because they cannot be read again. When a restart loses them, the time in between is a gap
and no evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fairlead.contracts.table import Table
from fairlead.rollout.ports import Reading


@dataclass(frozen=True, slots=True)
class WindowReadings:
    """The counters at both ends of a window. `start` is None for the first window after a restart of the engine."""

    start: datetime | None
    before: Sequence[Reading] = ()
    after: Sequence[Reading] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    """The tables in force when the window began, by route."""
    bridged: bool = False
    """Readings in between were missed: the window also counts what happened in earlier windows that are gaps."""


class WindowTracker:
    """Ends a window at each reading. Not for several threads at once."""

    def __init__(self) -> None:
        self._last: WindowReadings | None = None
        self._last_complete: WindowReadings | None = None
        """The last reading of all gateways, while a gateway that was in it is silent."""

    def end_window(self, now: datetime, readings: Sequence[Reading], tables: Mapping[str, Table]) -> WindowReadings:
        """The readings of the window that ends now. `tables` were in force when it began.

        Counters only rise, so the next answer of a gateway also covers a missed reading: the window then begins where
        the last counted one ended. `counts` checks whether the difference is valid.
        """
        last, last_complete = self._last, self._last_complete
        self._last, self._last_complete = WindowReadings(now, readings), None
        if last is None:
            return WindowReadings(None)
        last = replace(last, tables=tables)
        reported = _names(readings)
        if reported and reported == _names(last.before):
            return replace(last, after=readings)
        if last_complete is not None and reported and reported == _names(last_complete.before):
            return replace(last_complete, after=readings, bridged=True)
        self._last_complete = last_complete or last
        return replace(last, after=readings)


def _names(readings: Sequence[Reading]) -> frozenset[str]:
    return frozenset(reading.gateway for reading in readings)
