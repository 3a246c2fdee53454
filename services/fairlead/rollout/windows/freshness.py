"""How current Prometheus's data is, and whether its clock agrees with ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from fairlead.errors import Unavailable
from fairlead.rollout.analysis.scrape_alignment import MAX_SKEW_S, SETTLE_S
from fairlead.rollout.ports import History

CLOCK_TOLERANCE = timedelta(seconds=SETTLE_S + MAX_SKEW_S)
"""A recorded time that is further ahead of Prometheus than this came from another clock setting."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Up to when a history is complete, or why it cannot be used."""

    until: datetime | None
    problem: str = ""


def check_freshness(history: History, now: datetime) -> Freshness:
    """Up to when the history is complete. Never raises."""
    try:
        theirs = history.clock()
    except Unavailable as error:
        return Freshness(None, error.message)
    ahead = (theirs - now).total_seconds()
    if abs(ahead) > MAX_SKEW_S:
        which = "ahead of" if ahead > 0 else "behind"
        return Freshness(None, f"Prometheus's clock is {abs(ahead):,.0f} s {which} ours, so its windows are not ours")
    return Freshness(theirs - timedelta(seconds=SETTLE_S))


def set_back_problem(since: datetime, until: datetime) -> str:
    """The reason for a gap when the last counted window lies ahead of the history's clock; else empty."""
    ahead = (since - until).total_seconds()
    if ahead <= CLOCK_TOLERANCE.total_seconds():
        return ""
    return f"Prometheus's clock was set back: what was counted last lies {ahead:,.0f} s ahead of it"
