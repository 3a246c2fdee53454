"""Spill: requests that the gateway had routed to another version, which failed, was late or is ejected.

An ordinary one costs what the model's own requests cost. One that keeps the model busy for seconds would take this
version down together with the other. So spilled rows are never in a call with own rows, and the time that their calls
take longer than own calls is taken from a budget, which grows by a small share of the time. While it is used up, spill
is refused.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from fairlead import errors
from fairlead.serving.inference.batch import Batch, Ticket

BURST_S = 1.0
BURST_CALLS = 10
"""The most that the budget has for each place for calls: so many seconds, or own calls where these are longer. Calls
that only vary must not use it up."""
MARGIN = 1.5
"""A spilled call may take so many times as long as the mean own call and costs nothing: calls vary, and the mean too.
"""
REMEMBERED = 20
"""How many own calls the mean is about. One that was delayed by something else must not count for long."""

QUIET_S = 1.0
"""After so long without a spilled call that ended, the next one has one row again."""


class Spill:
    """The spilled requests that wait, and the budget of their calls, in seconds of the model's time."""

    def __init__(self, share: float, places: int, clock: Callable[[], float]) -> None:
        """The budget grows by `share` of the time of all `places` for calls. With 1, nothing is refused."""
        self.waiting: deque[Ticket] = deque()
        self._running: dict[Batch, float] = {}  # each call in progress, and what one of its size usually takes
        self._calls = 0
        self.call_s = self.row_s = 0.0
        """The mean of own calls: seconds per call and per row."""
        self._rows = 1
        self._places = places
        self._growth = share * places
        self._most = self._left = math.inf  # until there has been an own call to compare with
        self._at = clock()  # when it was `_left`
        self._clock = clock

    def began(self, batch: Batch) -> None:
        """The model is called for spilled rows."""
        usual_s = MARGIN * max(self.call_s, self.row_s * batch.count)
        if usual_s and self._growth < self._places:
            self._most = self._places * max(BURST_S, BURST_CALLS * usual_s)
        self._running[batch] = usual_s or math.inf

    def ended(self, batch: Batch) -> None:
        """A call for spilled or own rows has ended. A spilled one that took less than own calls gives time back."""
        if self._running and (usual_s := self._running.pop(batch, None)) is not None:
            now = self._clock()
            over_s = batch.seconds - usual_s
            self._left = min(self._most, self._grown(now) - over_s)
            self._at = now
            self._rows = 1 if over_s > self._most / 2 else 2 * batch.count
            return
        self._calls = min(REMEMBERED, self._calls + 1)
        self.call_s += (batch.seconds - self.call_s) / self._calls
        self.row_s += (batch.seconds / batch.count - self.row_s) / self._calls

    def most_rows(self) -> int:
        """How many rows the next call may have: twice as many as the last one that was not slow.

        Of bodies that keep the model busy, several often arrive together. In one call their times add up, and nothing
        tells that they are slow before the first has run.
        """
        return self._rows if self._clock() - self._at < QUIET_S else 1

    def check(self) -> None:
        """Raise SpillRefused while the budget is used up; calls in progress count as they go on."""
        now = self._clock()
        left = self._grown(now)
        left -= sum(max(0.0, now - batch.called - usual_s) for batch, usual_s in self._running.items())
        if left <= 0:
            raise errors.SpillRefused(
                "the version that this request was routed to did not answer it, and this version refuses it: such "
                "requests have kept its model busy for much longer than its own requests do",
                retry_after_s=max(1, min(60, math.ceil(-left / self._growth))),
                hint="Send it again later.",
            )

    def _grown(self, now: float) -> float:
        return min(self._most, self._left + self._growth * (now - self._at))
