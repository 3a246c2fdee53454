"""Past windows: where they end, and which scrape of each gateway belongs to which end. Pure.

A gateway's counters at a window's end are those of its newest scrape before that end. So another process, or the same
one a day later, counts the same for the same window.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, floor

from fairlead.rollout.analysis.window_boundaries import WindowReadings, WindowTracker
from fairlead.rollout.ports import Reading

SETTLE_S = 2.0
"""A scrape carries its start time and becomes visible only when it has ended. This is how long that may take."""
CLOCK_LAG_S = 0.5
"""Prometheus's clock may be this far behind ours without delaying windows by a tick."""
MAX_AGE_INTERVALS = 2.5
"""A scrape is valid for so many intervals: one missed scrape is tolerated, two are not."""
MAX_SKEW_S = 5.0
"""If the clocks differ by more, a step's time would be another moment in Prometheus: nothing is counted."""
MAX_REPLAY_S = 3600.0
"""Windows that were missed longer ago than this are not counted any more."""
MAX_WINDOWS = 60
"""How many windows are replayed at once. If more were missed, the windows are longer."""


def max_age_s(interval_s: float) -> float:
    """How old a scrape may be and still count."""
    return MAX_AGE_INTERVALS * interval_s + SETTLE_S


def window_ends(since: datetime, until: datetime, window_s: float) -> list[datetime]:
    """The ends of windows after `since` and up to `until`: whole multiples of their length on the wall clock."""
    since = max(since, until - timedelta(seconds=MAX_REPLAY_S))
    first, last = floor(since.timestamp() / window_s) + 1, floor(until.timestamp() / window_s)
    stride = max(1, ceil((last - first + 1) / MAX_WINDOWS))
    slots = range(last, first - 1, -stride)
    return [datetime.fromtimestamp(slot * window_s, UTC) for slot in reversed(slots)]


def aligned_windows(
    readings: Sequence[Reading], since: datetime, at: Sequence[datetime], interval_s: float
) -> Iterator[tuple[datetime, WindowReadings]]:
    """The readings at both ends of each window. A window continues to the next end if a gateway has no new scrape yet.

    The first window begins at `since`. A gateway whose last scrape is too old counts as silent, which is handled as
    for gateways that are read directly (`window_boundaries.WindowTracker`).
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
