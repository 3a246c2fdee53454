"""From the totals that an instance tells at each reading to their increase between two readings."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.contracts.service_totals import Totals
from fairlead.rollout.ports import Increase


class TotalsReader:
    """The last totals of one instance. Not thread-safe.

    CPU seconds are idle while no row was answered, neither since the last reading nor between the two before: the
    processes of a service do not write their rows and their CPU seconds at the same moment.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._epoch = ""
        self._last: Totals | None = None
        self._at = 0.0
        self._was_idle = False

    def increase(self, epoch: str, totals: Totals | None) -> Increase | None:
        """The increase since the last reading. None where nothing is told, and at the first reading of a process."""
        now, last, seconds = self._monotonic(), self._last, self._monotonic() - self._at
        is_new, self._epoch, self._last, self._at = epoch != self._epoch, epoch, totals, now
        if totals is None:
            return Increase()  # a service of an earlier release tells nothing
        if last is None or is_new:
            self._was_idle = False
            return None
        rows, is_idle = max(0, totals.rows - last.rows), totals.rows == last.rows
        cpu_s = None if totals.cpu_s is None or last.cpu_s is None else max(0.0, totals.cpu_s - last.cpu_s)
        counts_as_idle, self._was_idle = is_idle and self._was_idle and cpu_s is not None, is_idle
        return Increase(
            labels=None if totals.labels is None else max(0, totals.labels - (last.labels or 0)),
            wrong=max(0, totals.wrong - last.wrong),
            errors=tuple(max(0, now - before) for now, before in zip(totals.errors, last.errors, strict=False)),
            rows=rows,
            cpu_s=cpu_s,
            seconds=seconds,
            idle_cpu_s=cpu_s or 0.0 if counts_as_idle else 0.0,
            idle_s=seconds if counts_as_idle else 0.0,
            bins={name: max(0, count - last.bins.get(name, 0)) for name, count in totals.bins.items()},
        )
