"""How far a history is, and whether its time is ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from fairlead.errors import Unavailable
from fairlead.rollout.analysis.scrape_alignment import SETTLE_S, SKEW_S
from fairlead.rollout.ports import History

NEAR = timedelta(seconds=SETTLE_S + SKEW_S)
"""What is further ahead of what Prometheus has was noted by another clock."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Up to when a history has everything; or why it cannot be asked."""

    until: datetime | None
    problem: str = ""


def ask(history: History, now: datetime) -> Settled:
    """How far it is. Never raises."""
    try:
        theirs = history.clock()
    except Unavailable as error:
        return Settled(None, error.message)
    ahead = (theirs - now).total_seconds()
    if abs(ahead) > SKEW_S:
        which = "ahead of" if ahead > 0 else "behind"
        return Settled(None, f"Prometheus's clock is {abs(ahead):,.0f} s {which} ours, so its windows are not ours")
    return Settled(theirs - timedelta(seconds=SETTLE_S))


def set_back(since: datetime, until: datetime) -> str:
    """Why nothing can be counted when what was counted last lies ahead of all there is; empty when it does not."""
    ahead = (since - until).total_seconds()
    if ahead <= NEAR.total_seconds():
        return ""
    return f"Prometheus's clock was set back: what was counted last lies {ahead:,.0f} s ahead of it"
