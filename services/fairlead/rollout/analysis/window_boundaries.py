"""Where windows begin and end: the gateways' counters at both ends, and how a reading that was missed is made good.

The only memory of the engine is here: raw counters, which cannot be read again. When it is lost, by a restart, the
time in between is a gap and no evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fairlead.contracts.table import Table
from fairlead.rollout.ports import Reading


@dataclass(frozen=True, slots=True)
class WindowReadings:
    """The counters at both ends of a window that has just ended. `start` is None after a restart of the engine."""

    start: datetime | None
    before: Sequence[Reading] = ()
    after: Sequence[Reading] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    """The tables in force when it began."""
    bridged: bool = False
    """Readings in between were missed: it has also what happened in windows that are gaps."""


class WindowTracker:
    """Cuts time into windows, one at each reading. Not for several threads at once."""

    def __init__(self) -> None:
        self._last: WindowReadings | None = None
        self._last_complete: WindowReadings | None = None
        """The last complete beginning, while somebody who told its counters then is silent."""

    def end_window(self, now: datetime, readings: Sequence[Reading], tables: Mapping[str, Table]) -> WindowReadings:
        """The window that ends now; `tables` were in force when it began.

        Counters only rise, so a gateway that did not answer once tells at its next answer what was missed: the
        window then begins where the last counted one ended. Whether the difference means anything is not asked here.
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
