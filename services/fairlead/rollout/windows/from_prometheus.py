"""Windows from a history of scrapes: missed windows are counted later, with their own times.

The ledger has the end of the last counted window. So it does not matter whether the history, the connection to it or
the control plane was down. This module keeps no state.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from fairlead.contracts.revision import Revision
from fairlead.contracts.window import Histograms, Window
from fairlead.errors import Unavailable
from fairlead.rollout.analysis.counts import Counted, Gap, count
from fairlead.rollout.analysis.scrape_alignment import (
    CLOCK_LAG_S,
    MAX_REPLAY_S,
    SETTLE_S,
    aligned_windows,
    max_age_s,
    window_ends,
)
from fairlead.rollout.analysis.window_boundaries import WindowReadings
from fairlead.rollout.ports import History
from fairlead.rollout.windows.attempt_history import ComparisonPeriod
from fairlead.rollout.windows.freshness import CLOCK_TOLERANCE, set_back_problem
from fairlead.rollout.windows.source import RouteTick


class ReplayedWindows:
    """`source.Source` over a history."""

    def __init__(self, history: History, window_s: float) -> None:
        self._history = history
        self._window_s = window_s

    @property
    def delay_s(self) -> float:
        """A scrape takes a while, and the history's clock may be behind ours."""
        return SETTLE_S + CLOCK_LAG_S

    def end_window(self, until: datetime) -> None:
        """Does nothing: every route reads its own samples."""

    def begin_window(self, head: Revision) -> None:
        """Does nothing: the ledger has the table that was in force."""

    def windows(self, tick: RouteTick) -> list[Window]:
        """All windows that every gateway's scrapes cover. If nothing can be counted, one gap that ends now."""
        head, period, freshness = tick.head, tick.period, tick.freshness
        since, recorded_until = _counted_until(tick.before, period), max(tick.recorded_until, period.since)
        problem = freshness.problem if freshness.until is None else set_back_problem(since, freshness.until)
        if freshness.until is None or problem:
            return _gap(recorded_until, tick.until, head.table.weight, problem)
        at = window_ends(since, freshness.until, self._window_s)
        if not at:
            return []
        first = max(since, freshness.until - timedelta(seconds=MAX_REPLAY_S))
        interval = self._history.interval_s
        try:
            readings = self._history.readings(
                head.table,
                first - timedelta(seconds=max_age_s(interval)),
                freshness.until,
                latency=(freshness.until - first).total_seconds() <= self._short_s(),
            )
        except Unavailable as error:
            return _gap(recorded_until, tick.until, head.table.weight, error.message)
        aligned = aligned_windows(readings, first, at, interval)
        found = [self._window(head, period, end, ends) for end, ends in aligned]
        # Gaps that are recorded already stay as they are and are not recorded again. Windows that lie ahead were
        # recorded before the clock was set back, so they do not count here.
        known = (one.end for one in tick.before if one.end <= freshness.until + CLOCK_TOLERANCE)
        recorded_end = max(known, default=period.since)
        kept = [window for window in found if window.gap is None or window.start >= recorded_end]
        return kept if len(found) == 1 else [_without_latency(window) for window in kept]

    def _short_s(self) -> float:
        """Up to this length nothing was missed: scrapes and windows do not end at the same times."""
        return 2 * max(self._window_s, self._history.interval_s) + self._window_s

    def _window(self, head: Revision, period: ComparisonPeriod, end: datetime, readings: WindowReadings) -> Window:
        start = readings.start or end
        try:
            counted, gap = count(readings.before, readings.after, period.table(start, end)), None
        except Gap as found:
            counted, gap = Counted(), str(found)
        window = counted.window(start, end, period.weight(end), gap)
        return _without_latency(window) if readings.bridged else window


def _counted_until(before: Sequence[Window], period: ComparisonPeriod) -> datetime:
    newest = next((window.end for window in reversed(before) if window.gap is None), period.since)
    return max(newest, period.since)


def _gap(start: datetime, end: datetime, weight: int, why: str) -> list[Window]:
    return [Window(start=start, end=end, weight=weight, gap=why)] if start < end else []


def _without_latency(window: Window) -> Window:
    """In missed windows it is unknown which answers were the first, slow ones of a new instance."""
    return window.model_copy(update={"latency": Histograms()})
