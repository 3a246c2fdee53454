"""The control loop: on every change, and at regular intervals, ticks the engine and publishes the desired state."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sized
from contextlib import suppress
from typing import Protocol

from fairlead import errors
from fairlead.routing.snapshot import Snapshot

POLL_INTERVAL_S = 0.02
"""How often the store is polled for changes. A rollback waits for this, so it is short."""
RESYNC_S = 0.25
"""How often everything is read again although nothing changed: rollouts also advance with time."""
PAUSE_AFTER_ERROR_S = 1.0
URGENT_INTERVAL_S = 0.05
"""How often a long tick is interrupted for actions and gateways, which cannot wait for its end."""


class ChangeTokens(Protocol):
    """The part of the store that the loop uses."""

    def change_token(self) -> object: ...  # noqa: D102


class TickingEngine(Protocol):
    """The part of the engine that the loop uses."""

    def tick_urgent(self) -> Sized: ...  # noqa: D102
    def tick(self, between: Callable[[], None]) -> object: ...  # noqa: D102


class SnapshotSource(Protocol):
    """Where the loop gets the desired snapshot: the same object as long as nothing has changed."""

    def snapshot(self) -> Snapshot: ...  # noqa: D102


class SnapshotPublisher(Protocol):
    """The part of the publisher that the loop uses. `follow` does nothing where there is one replica."""

    def want(self, snapshot: Snapshot) -> None: ...  # noqa: D102
    def step(self) -> object: ...  # noqa: D102
    def follow(self) -> None: ...  # noqa: D102


class Loop:
    """Runs on one thread, in `run`. Any thread may read `beat`."""

    def __init__(
        self,
        store: ChangeTokens,
        engine: TickingEngine,
        publisher: SnapshotPublisher,
        desired: SnapshotSource,
        *,
        log: logging.Logger,
        leads: Callable[[], bool] = lambda: True,
        resync_s: float = RESYNC_S,
        ticked: Callable[[float], None] = lambda seconds: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`leads` returns whether this replica decides; the others only follow. `ticked` gets each tick's seconds."""
        self._store = store
        self._engine = engine
        self._publisher = publisher
        self._desired = desired
        self._leads = leads
        self._resync_s = resync_s
        self._ticked = ticked
        self._log = log
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._token: object = None
        self._due = 0.0
        self._next_urgent = 0.0
        self._complaint = ""
        self._refused = ""
        self.beat = 0.0
        """When the last turn succeeded, on the monotonic clock; 0 before the first."""
        self.leading = False
        """Whether the last turn was a leader's."""

    @property
    def refused(self) -> str:
        """Why the desired snapshot was not published; empty when it was."""
        return self._refused

    def run(self) -> None:
        """Turn until stop(). An error ends one turn, never the loop; gateways keep serving what is published."""
        pause = POLL_INTERVAL_S
        while not self._stopping.wait(pause):
            try:
                self.turn()
                pause = POLL_INTERVAL_S
                self._complaint = ""
            except Exception as error:  # last resort of the process: it must survive a store that is locked for a while
                pause = PAUSE_AFTER_ERROR_S
                # The traceback only once per error: an outage of an hour must not fill the disk.
                known, self._complaint = self._complaint, f"{type(error).__name__}: {error}"
                self._log.error("the loop's turn failed", exc_info=self._complaint != known)

    def turn(self) -> None:
        """One turn: tick if something changed or the interval is over, then let the publisher take its next step."""
        self.leading = self._leads()
        if self.leading:
            self._lead()
        else:
            # When this replica leads again, it starts by reading everything, as after a restart.
            self._token, self._due, self._refused = None, 0.0, ""
            self._publisher.follow()
        self.beat = self._monotonic()

    def stop(self) -> None:
        """End run() after the current turn."""
        self._stopping.set()

    def _lead(self) -> None:
        now = self._monotonic()
        token = self._store.change_token()
        self._next_urgent = now + URGENT_INTERVAL_S
        if token != self._token and now < self._due and self._engine.tick_urgent():
            # Actions are published before the engine ticks all other routes, which happens in the next turn.
            self._want()
        elif token != self._token or now >= self._due:
            self._engine.tick(self._urgent_work)
            self._ticked(self._monotonic() - now)
            self._want()
            # The token from before the tick: changes made during the tick cause another one.
            self._token = token
            self._due = now + self._resync_s
        self._publisher.step()

    def _urgent_work(self) -> None:
        """During a long tick: carry out actions, and let the publisher take its next step."""
        if self._monotonic() < self._next_urgent:
            return
        with suppress(errors.FairleadError):  # other routes go on; turn() raises it from its step
            if self._engine.tick_urgent():
                self._want()
            self._publisher.step()
        self._next_urgent = self._monotonic() + URGENT_INTERVAL_S

    def _want(self) -> None:
        """Pass the desired snapshot to the publisher. If refused, the last one stays; gateways are still polled."""
        try:
            self._publisher.want(self._desired.snapshot())
        except errors.Refused as error:
            if error.message != self._refused:
                self._log.error("not published: %s", error.message)
            self._refused = error.message
        else:
            self._refused = ""
