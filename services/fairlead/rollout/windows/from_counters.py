"""Windows from the gateways' own counters: each ends at a tick and counts what happened since the last one.

The counters of the last reading are in memory only (`analysis.window_boundaries`). Time without a reading is a gap and
no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from fairlead.contracts.revision import Revision
from fairlead.contracts.table import Table
from fairlead.contracts.window import Histograms, Window
from fairlead.rollout.analysis.counts import CHANGED_GAP, Counted, Gap, comparable, count, with_shorter_limit
from fairlead.rollout.analysis.window_boundaries import WindowReadings, WindowTracker
from fairlead.rollout.ports import MetricSource
from fairlead.rollout.windows.source import RouteTick


class CountedWindows:
    """`source.Source` over counters that are read when a window ends. Not for several threads at once."""

    def __init__(self, metrics: MetricSource) -> None:
        self._metrics = metrics
        self._tracker = WindowTracker()
        self._tables: dict[str, Table] = {}
        self._readings = WindowReadings(None)

    @property
    def delay_s(self) -> float:
        """0: counters are read when the window ends."""
        return 0.0

    def end_window(self, until: datetime) -> None:
        """Read every gateway's counters."""
        self._readings = self._tracker.end_window(until, tuple(self._metrics.read()), self._tables)
        self._tables = {}

    def begin_window(self, head: Revision) -> None:
        """Keep the table: versions are compared only in windows in which they did not change."""
        self._tables[head.route] = head.table

    def windows(self, tick: RouteTick) -> list[Window]:
        """The window that ended now; none while the windows' times are ahead of the clock."""
        counted, gap = _counted(self._readings, tick.head, tick.before)
        start = _start(self._readings, tick.head, tick.before, gap)
        if start >= tick.until:
            return []
        return [counted.window(start, tick.until, tick.head.table.weight, gap)]


def _counted(readings: WindowReadings, head: Revision, before: Sequence[Window]) -> tuple[Counted, str | None]:
    """What the window counts, and the reason if it is a gap."""
    if readings.start is None:
        return Counted(), "the control plane was not watching"
    newest = next((window for window in reversed(before) if window.gap is None), None)
    if newest is not None and readings.start < newest.end:
        # By another engine, or before the clock was set back. Evidence that is counted twice is not valid.
        return Counted(), "a part of it was counted in an earlier window"
    table = readings.tables.get(head.route)
    if table is None or not comparable(table, head.table):
        return Counted(), CHANGED_GAP
    try:
        counted = count(readings.before, readings.after, with_shorter_limit(head.table, table))
    except Gap as gap:
        return Counted(), str(gap)
    # Across missed readings it is unknown which answers were the first, slow ones of a new instance.
    return (replace(counted, latency=Histograms()) if readings.bridged else counted), None


def _start(readings: WindowReadings, head: Revision, before: Sequence[Window], gap: str | None) -> datetime:
    start = readings.start or head.created_at
    if gap is not None:
        start = max(start, head.created_at)
    # Gaps that a bridged window fills stay in the ledger: they were recorded before it was counted.
    return max(start, before[-1].end) if before else start
