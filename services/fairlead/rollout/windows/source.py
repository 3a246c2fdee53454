"""What a source of windows is, and what it is asked. No I/O here.

Another source needs no more than this: to be told when a window's time is over and which table is in force, and to
answer with windows of its own times that have never been counted, or with gaps that say why there is nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fairlead.contracts.revision import Revision, Window
from fairlead.contracts.route import Route
from fairlead.rollout.windows.attempt_history import Stretch
from fairlead.rollout.windows.freshness import Settled


@dataclass(frozen=True, slots=True)
class Asked:
    """One route whose rollout is under way, at one look."""

    route: Route
    head: Revision
    before: Sequence[Window]
    """The attempt's windows so far."""
    stretch: Stretch
    until: datetime
    """Now on the windows' own clock, which is never set back."""
    settled: Settled
    """How far the history is, where there is one."""

    @property
    def noted(self) -> datetime:
        """Up to when windows say anything, on their own clock."""
        return max([window.end for window in self.before], default=self.stretch.since)


class Source(Protocol):
    """Where windows come from. Counts, never rates; no method raises."""

    @property
    def behind_s(self) -> float:
        """How long after its end a window can be seen."""
        ...

    def end(self, until: datetime) -> None:
        """A window's time is over, for all routes."""
        ...

    def windows(self, asked: Asked) -> list[Window]:
        """What can be counted now and was not before, in the order of the ends; without evidence."""
        ...

    def begin(self, head: Revision) -> None:
        """This table is in force while the next window begins; said of every route after each `end`."""
        ...
