"""Windows from a history: whatever was missed is counted when it can be, as the windows that it was.

What was counted last is read from the ledger, so it does not matter who missed it: the history, the way to it, or the
whole control plane. Nothing is remembered here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from fairlead.contracts.revision import Histograms, Revision, Window
from fairlead.errors import Unavailable
from fairlead.rollout.analysis.counts import Counted, Gap, count
from fairlead.rollout.analysis.scrape_alignment import BEHIND_S, REPLAYED_S, SETTLE_S, cuts, ends, keep_s
from fairlead.rollout.analysis.window_boundaries import Cut
from fairlead.rollout.ports import History
from fairlead.rollout.windows.attempt_history import Stretch
from fairlead.rollout.windows.freshness import NEAR, set_back
from fairlead.rollout.windows.source import Asked


class ReplayedWindows:
    """`source.Source` over a history."""

    def __init__(self, history: History, window_s: float) -> None:
        self._history = history
        self._window_s = window_s

    @property
    def behind_s(self) -> float:
        """A scrape takes a while, and its clock may be behind."""
        return SETTLE_S + BEHIND_S

    def end(self, until: datetime) -> None:
        """Nothing is the same for all routes."""

    def begin(self, head: Revision) -> None:
        """Which table was in force is read from the ledger."""

    def windows(self, asked: Asked) -> list[Window]:
        """A window that is not over everywhere is not among them. A gap that is only noted ends now."""
        head, stretch, settled = asked.head, asked.stretch, asked.settled
        since, noted = _counted_until(asked.before, stretch), max(asked.noted, stretch.since)
        problem = settled.problem if settled.until is None else set_back(since, settled.until)
        if settled.until is None or problem:
            return _gap(noted, asked.until, head.table.weight, problem)
        at = ends(since, settled.until, self._window_s)
        if not at:
            return []
        first = max(since, settled.until - timedelta(seconds=REPLAYED_S))
        interval = self._history.interval_s
        try:
            readings = self._history.readings(
                head.table,
                first - timedelta(seconds=keep_s(interval)),
                settled.until,
                latency=(settled.until - first).total_seconds() <= self._short_s(),
            )
        except Unavailable as error:
            return _gap(noted, asked.until, head.table.weight, error.message)
        found = [self._window(head, stretch, end, cut) for end, cut in cuts(readings, first, at, interval)]
        # Gaps that were noted when nothing could be counted stay as they are, and are not noted again. Those that lie
        # ahead were noted by another time than this: the clock was set since.
        told = max((one.end for one in asked.before if one.end <= settled.until + NEAR), default=stretch.since)
        kept = [window for window in found if window.gap is None or window.start >= told]
        return kept if len(found) == 1 else [_without_latency(window) for window in kept]

    def _short_s(self) -> float:
        """Scrapes and windows do not end together: nothing was missed up to here."""
        return 2 * max(self._window_s, self._history.interval_s) + self._window_s

    def _window(self, head: Revision, stretch: Stretch, end: datetime, cut: Cut) -> Window:
        start = cut.start or end
        try:
            counted, gap = count(cut.before, cut.after, head.table), None
        except Gap as found:
            counted, gap = Counted(), str(found)
        return Window(
            start=start,
            end=end,
            weight=stretch.weight(end),
            candidate=counted.candidate,
            stable=counted.stable,
            assigned=counted.assigned,
            unserved=counted.unserved,
            rejections=counted.rejections,
            latency=Histograms() if cut.bridged else counted.latency,
            gap=gap,
        )


def _counted_until(before: Sequence[Window], stretch: Stretch) -> datetime:
    newest = next((window.end for window in reversed(before) if window.gap is None), stretch.since)
    return max(newest, stretch.since)


def _gap(start: datetime, end: datetime, weight: int, why: str) -> list[Window]:
    return [Window(start=start, end=end, weight=weight, gap=why)] if start < end else []


def _without_latency(window: Window) -> Window:
    """Of what was missed nobody knows which answers were an instance's first and slow ones."""
    return window.model_copy(update={"latency": Histograms()})
