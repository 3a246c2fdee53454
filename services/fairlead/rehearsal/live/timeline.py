"""Conducting a rehearsal in real time: what happens when, and a frame of what ledger and status say every second."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import chain

from fairlead import errors
from fairlead.contracts.revision import Cause, Revision
from fairlead.contracts.scenario import Outcome, Scenario
from fairlead.contracts.status import Status
from fairlead.rehearsal.frames import ROUTE, TICK_S, Frame, RequestCounts, Run, frame_of
from fairlead.rehearsal.live.load_generator import LoadGenerator
from fairlead.rehearsal.live.platform import PREDICT, LivePlatform
from fairlead.rehearsal.schedule import Arm, rate_at

LOOK_S = 0.05
UP_WITHIN_S = 60.0
MOST_STARTS = 3
"""A process that ended so often before it was of use will not become so."""
BEFORE_S = 2.0
"""How long stable has answered users when the candidate is released."""
SETTLED_S = 10.0
"""For so long a rollout that has ended is still watched."""
ENDED = (Outcome.PROMOTED, Outcome.ROLLED_BACK)


class Timeline:
    """One performance on one stage. `watch` is told of every frame."""

    def __init__(self, scenario: Scenario, stage: LivePlatform, *, seed: int, watch: Callable[[Frame], None]) -> None:
        self._scenario, self._stage, self._seed, self._watch = scenario, stage, seed, watch
        self._at_s = -BEFORE_S
        self._users = LoadGenerator(
            stage.port,
            PREDICT,
            rate=lambda: rate_at(scenario, self._at_s),
            rng=random.Random(seed),
            timeout_s=scenario.timeouts.request + 5,
        )

    async def perform(self) -> Run:
        """Wait until stable answers, release the candidate, and play to the end. Raises Unavailable."""
        await self._until(self._stage.is_up, "gateway and stand-ins are up")
        asking = asyncio.create_task(self._users.run())
        try:
            await asyncio.sleep(BEFORE_S)
            self._stage.wish(Arm.CANDIDATE)
            await self._until(self._is_released, "the release is in the ledger")
            return await self._play(self._head())
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _play(self, released: Revision) -> Run:
        """The scenario's time is 0 when the ledger has the release."""
        self._users.forget()
        began, frames = time.monotonic() - _seconds_since(released.created_at), list[Frame]()
        while not self._is_over(frames):
            before_s, self._at_s = self._at_s, time.monotonic() - began
            self._stage.assign(self._at_s)
            await self._stage.trouble(self._at_s)
            self._begin_events(before_s)
            if self._at_s >= len(frames) * TICK_S:
                frames.append(await self._frame(len(frames) * TICK_S))
                self._watch(frames[-1])
            await asyncio.sleep(LOOK_S)
        revisions = tuple(one for one in self._stage.store.revisions(ROUTE) if one.seq >= released.seq)
        told = self._told(revisions)
        return Run(self._scenario, self._seed, tuple(frames), revisions, told, released.created_at)

    def _begin_events(self, before_s: float) -> None:
        for number, event in enumerate(self._scenario.events, 1):
            if not before_s < event.at <= self._at_s:
                continue
            if event.fault == "gateway-restart":
                self._stage.restart_gateway()
            if event.action is not None:
                self._stage.ask(event.action, number)

    def _is_over(self, frames: Sequence[Frame]) -> bool:
        """At the end, or when a rollout has ended and nobody will ask for anything: no weight can move then."""
        if not frames or frames[-1].at_s + TICK_S > self._scenario.duration:
            return bool(frames)
        if any(event.action is not None and event.at > frames[-1].at_s for event in self._scenario.events):
            return False
        last = frames[-round(SETTLED_S / TICK_S) :]
        return len(last) * TICK_S >= SETTLED_S and all(frame.outcome in ENDED for frame in last)

    async def _frame(self, at_s: float) -> Frame:
        """What ledger and status say. They are written one after the other, so a moment may lie between them."""
        for _ in range(5):
            head, written = self._head(), self._stage.store.status(ROUTE)
            if written is not None and written.get("seq") == head.seq:
                break
            await asyncio.sleep(LOOK_S / 5)
        return frame_of(head, Status.model_validate(written), at_s)

    def _told(self, revisions: Sequence[Revision]) -> RequestCounts:
        """What users saw; and of the candidate, what the gateway counted in the windows of the attempt."""
        windows = list(chain(*(one.windows for one in revisions), self._stage.store.windows(ROUTE)))
        given, failed = sum(one.assigned for one in windows), sum(one.candidate.bad for one in windows)
        return self._users.told.plus(RequestCounts(0, 0, given, failed))

    def _head(self) -> Revision:
        head = self._stage.store.head(ROUTE)
        if head is None:
            raise errors.Unavailable("the ledger of the rehearsal is empty")
        return head

    async def _is_released(self) -> bool:
        status, head = self._stage.store.status(ROUTE) or {}, self._head()
        return head.cause is Cause.RELEASED and status.get("seq") == head.seq

    async def _until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        began, children = time.monotonic(), (self._stage.supervisor.control, self._stage.supervisor.gateway)
        while not await condition():
            waited_s = time.monotonic() - began
            if waited_s > UP_WITHIN_S or any(child.restarts >= MOST_STARTS for child in children):
                logs = (f"{child.name}: {child.tail() or 'nothing was logged'}" for child in children)
                raise errors.Unavailable(f"after {waited_s:.0f} s still not so: {what}", hint="\n  ".join(logs))
            await asyncio.sleep(LOOK_S)


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
