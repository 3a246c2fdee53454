"""Windows from the gateways' own counters: each ends at a look, and has what happened since the last one.

The counters of the last reading are in memory only (`analysis.window_boundaries`). Time without a reading is a gap, and
no evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from fairlead.contracts.revision import Histograms, Revision, Window
from fairlead.contracts.table import Table
from fairlead.rollout.analysis.counts import CHANGED, Counted, Gap, comparable, count
from fairlead.rollout.analysis.window_boundaries import Cut, Cutter
from fairlead.rollout.ports import MetricSource
from fairlead.rollout.windows.source import Asked


class CountedWindows:
    """`source.Source` over counters that are read when a window ends. Not for several threads at once."""

    def __init__(self, metrics: MetricSource) -> None:
        self._metrics = metrics
        self._cutter = Cutter()
        self._tables: dict[str, Table] = {}
        self._cut = Cut(None)

    @property
    def behind_s(self) -> float:
        """Counters are read at the end itself."""
        return 0.0

    def end(self, until: datetime) -> None:
        """Read every gateway's counters."""
        self._cut = self._cutter.cut(until, tuple(self._metrics.read()), self._tables)
        self._tables = {}

    def begin(self, head: Revision) -> None:
        """Versions are compared over a window only if they were there all the time."""
        self._tables[head.route] = head.table

    def windows(self, asked: Asked) -> list[Window]:
        """The one that ended now; none where windows are ahead of the clock."""
        counted, gap = _counted(self._cut, asked.head, asked.before)
        start = _start(self._cut, asked.head, asked.before, gap)
        if start >= asked.until:
            return []
        window = Window(
            start=start,
            end=asked.until,
            weight=asked.head.table.weight,
            candidate=counted.candidate,
            stable=counted.stable,
            assigned=counted.assigned,
            unserved=counted.unserved,
            rejections=counted.rejections,
            latency=counted.latency,
            gap=gap,
        )
        return [window]


def _counted(cut: Cut, head: Revision, before: Sequence[Window]) -> tuple[Counted, str | None]:
    """What the window counts, and why it is a gap if it is one."""
    if cut.start is None:
        return Counted(), "the control plane was not watching"
    newest = next((window for window in reversed(before) if window.gap is None), None)
    if newest is not None and cut.start < newest.end:
        # Another engine, or a clock that was set back. Counted twice, evidence would be worth nothing.
        return Counted(), "a part of it was counted in an earlier window"
    table = cut.tables.get(head.route)
    if table is None or not comparable(table, head.table):
        return Counted(), CHANGED
    try:
        counted = count(cut.before, cut.after, head.table)
    except Gap as gap:
        return Counted(), str(gap)
    # Over missed readings nobody can say which answers were an instance's first and slow ones.
    return (replace(counted, latency=Histograms()) if cut.bridged else counted), None


def _start(cut: Cut, head: Revision, before: Sequence[Window], gap: str | None) -> datetime:
    start = cut.start or head.created_at
    if gap is not None:
        start = max(start, head.created_at)
    # The gaps that a bridged window makes good stay in the record: they were not known when they ended.
    return max(start, before[-1].end) if before else start
