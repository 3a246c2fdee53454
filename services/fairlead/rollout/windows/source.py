"""The Protocol of a source of windows, and its input. No I/O here.

The engine calls a source when a window ends and when a table is in force. The source returns windows with times of its
own that have not been counted before, or gaps with the reason why nothing was counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route
from fairlead.contracts.window import Window
from fairlead.rollout.windows.attempt_history import ComparisonPeriod
from fairlead.rollout.windows.freshness import Freshness


@dataclass(frozen=True, slots=True)
class RouteTick:
    """One route with a rollout in progress, at one tick."""

    route: Route
    head: Revision
    before: Sequence[Window]
    """The attempt's windows so far."""
    period: ComparisonPeriod
    until: datetime
    """Now on the windows' own clock, which is never set back."""
    freshness: Freshness
    """Up to when the history is complete, if there is a history."""

    @property
    def recorded_until(self) -> datetime:
        """The latest end of a recorded window, on the windows' clock."""
        return max([window.end for window in self.before], default=self.period.since)


class Source(Protocol):
    """Makes windows. Counts, never rates; no method raises."""

    @property
    def delay_s(self) -> float:
        """How long after its end a window can be counted, in seconds."""
        ...

    def end_window(self, until: datetime) -> None:
        """A window ends now, for all routes."""
        ...

    def windows(self, tick: RouteTick) -> list[Window]:
        """The windows that can be counted now and were not before, ordered by end, without evidence."""
        ...

    def begin_window(self, head: Revision) -> None:
        """The head's table is in force when the next window begins. Called for every route after each `end_window`."""
        ...
