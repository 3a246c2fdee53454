"""The loop: whenever something changed, and now and then anyway, tick the engine and publish what it made."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sized
from contextlib import suppress
from typing import Protocol

from fairlead import errors
from fairlead.routing.snapshot import Snapshot

LOOK_S = 0.02
"""How often the store is asked whether something changed. A rollback waits for this, so it is short."""
RESYNC_S = 0.25
"""How often everything is read again although nothing changed: time itself moves rollouts."""
PAUSE_AFTER_ERROR_S = 1.0
MEANWHILE_S = 0.05
"""How often a tick is interrupted for what cannot wait for its end."""


class Changing(Protocol):
    """The store, as the loop sees it."""

    def change_token(self) -> object: ...  # noqa: D102


class Ticking(Protocol):
    """The engine, as the loop sees it."""

    def hurry(self) -> Sized: ...  # noqa: D102
    def tick(self, between: Callable[[], None]) -> object: ...  # noqa: D102


class Compiled(Protocol):
    """The world, as the loop sees it: the same object while nothing has changed."""

    def snapshot(self) -> Snapshot: ...  # noqa: D102


class Publishing(Protocol):
    """The publisher, as the loop sees it. Only one that has followers' work to do needs more than a stub of it."""

    def want(self, snapshot: Snapshot) -> None: ...  # noqa: D102
    def step(self) -> object: ...  # noqa: D102
    def follow(self) -> None: ...  # noqa: D102


class Loop:
    """Not for several threads: `run` is the one that turns it. `beat` may be read by any."""

    def __init__(
        self,
        store: Changing,
        engine: Ticking,
        publisher: Publishing,
        world: Compiled,
        *,
        log: logging.Logger,
        leads: Callable[[], bool] = lambda: True,
        resync_s: float = RESYNC_S,
        ticked: Callable[[float], None] = lambda seconds: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`leads` says whether this replica decides; the others only follow. `ticked` is told what a tick took."""
        self._store = store
        self._engine = engine
        self._publisher = publisher
        self._world = world
        self._leads = leads
        self._resync_s = resync_s
        self._ticked = ticked
        self._log = log
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._token: object = None
        self._due = 0.0
        self._next_meanwhile = 0.0
        self._complaint = ""
        self._refused = ""
        self.beat = 0.0
        """When the last turn succeeded, on the monotonic clock; 0 before the first."""
        self.leading = False
        """Whether the last turn was a leader's."""

    @property
    def refused(self) -> str:
        """Why the present wish was not published at all; empty when it was."""
        return self._refused

    def run(self) -> None:
        """Turn until stop(). An error ends one turn, never the loop: what is published keeps serving meanwhile."""
        pause = LOOK_S
        while not self._stopping.wait(pause):
            try:
                self.turn()
                pause = LOOK_S
                self._complaint = ""
            except (
                Exception
            ) as error:  # the edge of the process: a store that is locked for a while is no reason to die
                pause = PAUSE_AFTER_ERROR_S
                # Once per kind, with its traceback: an outage of an hour must not fill the disk.
                known, self._complaint = self._complaint, f"{type(error).__name__}: {error}"
                self._log.error("the loop's turn failed", exc_info=self._complaint != known)

    def turn(self) -> None:
        """One look: tick if something changed or it is time, then let the publisher take its next step."""
        self.leading = self._leads()
        if self.leading:
            self._lead()
        else:
            # Whoever leads next begins with everything, as at a start.
            self._token, self._due, self._refused = None, 0.0, ""
            self._publisher.follow()
        self.beat = self._monotonic()

    def stop(self) -> None:
        """End run() after its present turn."""
        self._stopping.set()

    def _lead(self) -> None:
        now = self._monotonic()
        token = self._store.change_token()
        self._next_meanwhile = now + MEANWHILE_S
        if token != self._token and now < self._due and self._engine.hurry():
            # What people ask for is published before all other routes are looked at, at the next turn: soon.
            self._want()
        elif token != self._token or now >= self._due:
            self._engine.tick(self._meanwhile)
            self._ticked(self._monotonic() - now)
            self._want()
            # Read before the tick: what was written during it is looked at again.
            self._token = token
            self._due = now + self._resync_s
        self._publisher.step()

    def _meanwhile(self) -> None:
        """In the middle of a tick that takes long: what people ask for, and what gateways wait for, goes on."""
        if self._monotonic() < self._next_meanwhile:
            return
        with suppress(errors.FairleadError):  # it is no reason to leave the other routes; the turn's own step tells it
            if self._engine.hurry():
                self._want()
            self._publisher.step()
        self._next_meanwhile = self._monotonic() + MEANWHILE_S

    def _want(self) -> None:
        """A wish that may not be published leaves the one before in force; gateways are listened to all the same."""
        try:
            self._publisher.want(self._world.snapshot())
        except errors.Refused as error:
            if error.message != self._refused:
                self._log.error("not published: %s", error.message)
            self._refused = error.message
        else:
            self._refused = ""
