"""The heartbeat: shows that statuses are up to date although nothing in them changed, and so was not written."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from fairlead import errors

INTERVAL_S = 2.0


class HeartbeatStore(Protocol):
    """The part of the store that the heartbeat uses."""

    def beat(self, now: datetime) -> None: ...  # noqa: D102


class Heartbeat:
    """Call `ticked` after every tick; it writes one row every `INTERVAL_S`. A loop that hangs or fails writes none."""

    def __init__(
        self,
        store: HeartbeatStore,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._clock, self._monotonic = store, clock, monotonic
        self._due = float("-inf")

    def ticked(self, seconds: float) -> None:  # noqa: ARG002 - the signature of `Loop`'s callback
        """A tick over all routes has ended."""
        now = self._monotonic()
        if now < self._due:
            return
        self._due = now + INTERVAL_S
        with suppress(errors.Unavailable):  # the next tick fails with the same reason, which the loop logs
            self._store.beat(self._clock())
