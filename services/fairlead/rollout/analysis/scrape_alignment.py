"""Windows of the past: where they end, and which scrape of each gateway belongs to which end. Pure.

A window's end is a moment, and a gateway's counters at a moment are those of its newest scrape before it. So whoever
asks again for the same window, in another process or a day later, counts the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, floor

from fairlead.rollout.analysis.window_boundaries import WindowReadings, WindowTracker
from fairlead.rollout.ports import Reading

SETTLE_S = 2.0
"""A scrape carries the time at which it began, and is there only when it has ended."""
CLOCK_LAG_S = 0.5
"""So much may its clock be behind ours before windows are seen a look later than they could be."""
MAX_AGE_INTERVALS = 2.5
"""A scrape speaks for so many intervals: one may be missed, of two nobody knows why."""
MAX_SKEW_S = 5.0
"""Clocks that differ by more do not tell the same story: a step taken here would be another moment there."""
MAX_REPLAY_S = 3600.0
"""What was missed longer ago than this is not counted any more."""
MAX_WINDOWS = 60
"""Windows that are replayed at once. When more were missed, they are longer."""


def max_age_s(interval_s: float) -> float:
    """For how long a scrape speaks."""
    return MAX_AGE_INTERVALS * interval_s + SETTLE_S


def window_ends(since: datetime, until: datetime, window_s: float) -> list[datetime]:
    """Where windows end after `since` and until `until`: at whole multiples of their length on the wall clock."""
    since = max(since, until - timedelta(seconds=MAX_REPLAY_S))
    first, last = floor(since.timestamp() / window_s) + 1, floor(until.timestamp() / window_s)
    stride = max(1, ceil((last - first + 1) / MAX_WINDOWS))
    slots = range(last, first - 1, -stride)
    return [datetime.fromtimestamp(slot * window_s, UTC) for slot in reversed(slots)]


def aligned_windows(
    readings: Sequence[Reading], since: datetime, at: Sequence[datetime], interval_s: float
) -> Iterator[tuple[datetime, WindowReadings]]:
    """A cut for each end at which every gateway was scraped anew; an end at which one was not belongs to the next.

    The first window begins at `since`. Gateways that ceased to be scraped are silent once their last scrape is too
    old, and what is made of silence is the same as for gateways that are asked directly (`cuts.Cutter`).
    """
    scrapes = _Scrapes(readings, max_age_s(interval_s))
    tracker, last = WindowTracker(), scrapes.at(since)
    tracker.end_window(since, tuple(last.values()), {})
    for end in at:
        now = scrapes.at(end)
        if any(now[name].at == last[name].at for name in now.keys() & last.keys()):
            continue
        yield end, tracker.end_window(end, tuple(now.values()), {})
        last = now


class _Scrapes:
    def __init__(self, readings: Sequence[Reading], max_age: float) -> None:
        self._max_age = timedelta(seconds=max_age)
        self._of: dict[str, list[Reading]] = {}
        for reading in sorted(readings, key=lambda one: one.at):
            self._of.setdefault(reading.gateway, []).append(reading)

    def at(self, moment: datetime) -> dict[str, Reading]:
        found = {}
        for gateway, scrapes in self._of.items():
            index = bisect_right(scrapes, moment, key=lambda one: one.at)
            if index and moment - scrapes[index - 1].at < self._max_age:
                found[gateway] = scrapes[index - 1]
        return found
