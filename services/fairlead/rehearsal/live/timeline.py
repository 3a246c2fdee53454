"""Plays a scenario in real time: applies its events when they are due, and records a frame every second."""

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
from fairlead.rehearsal.schedule import VersionRole, rate_at

POLL_INTERVAL_S = 0.05
START_TIMEOUT_S = 60.0
MAX_STARTS = 3
"""After so many failed starts of a process, the rehearsal gives up."""
WARM_UP_S = 2.0
"""How long stable serves users before the candidate is released."""
SETTLE_S = 10.0
"""How long a rollout is still observed after it has ended."""
ENDED = (Outcome.PROMOTED, Outcome.ROLLED_BACK)


class Timeline:
    """One run on one platform. `watch` is called with every frame."""

    def __init__(
        self, scenario: Scenario, platform: LivePlatform, *, seed: int, watch: Callable[[Frame], None]
    ) -> None:
        self._scenario, self._platform, self._seed, self._watch = scenario, platform, seed, watch
        self._at_s = -WARM_UP_S
        self._load = LoadGenerator(
            platform.port,
            PREDICT,
            rate=lambda: rate_at(scenario, self._at_s),
            rng=random.Random(seed),
            timeout_s=scenario.timeouts.request + 5,
        )

    async def play(self) -> Run:
        """Wait until stable serves, release the candidate, and play to the end. Raises Unavailable."""
        await self._until(self._platform.is_up, "the gateway and the stub versions are up")
        load = asyncio.create_task(self._load.run())
        try:
            await asyncio.sleep(WARM_UP_S)
            self._platform.set_target(VersionRole.CANDIDATE)
            await self._until(self._is_released, "the release is in the ledger")
            return await self._play_from(self._head())
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)

    async def _play_from(self, released: Revision) -> Run:
        """Play the scenario. Its time is 0 when the release was written to the ledger."""
        self._load.reset_counts()
        began, frames = time.monotonic() - _seconds_since(released.created_at), list[Frame]()
        while not self._is_over(frames):
            before_s, self._at_s = self._at_s, time.monotonic() - began
            self._platform.set_behaviours(self._at_s)
            await self._platform.apply_faults(self._at_s)
            self._begin_events(before_s)
            if self._at_s >= len(frames) * TICK_S:
                frames.append(await self._frame(len(frames) * TICK_S))
                self._watch(frames[-1])
            await asyncio.sleep(POLL_INTERVAL_S)
        revisions = tuple(one for one in self._platform.store.revisions(ROUTE) if one.seq >= released.seq)
        counts = self._counts(revisions)
        return Run(self._scenario, self._seed, tuple(frames), revisions, counts, released.created_at)

    def _begin_events(self, before_s: float) -> None:
        for number, event in enumerate(self._scenario.events, 1):
            if not before_s < event.at <= self._at_s:
                continue
            if event.fault == "gateway-restart":
                self._platform.restart_gateway()
            if event.action is not None:
                self._platform.create_action(event.action, number)

    def _is_over(self, frames: Sequence[Frame]) -> bool:
        """True at the end, or when the rollout has ended and no action follows: the weight cannot change then."""
        if not frames or frames[-1].at_s + TICK_S > self._scenario.duration:
            return bool(frames)
        if any(event.action is not None and event.at > frames[-1].at_s for event in self._scenario.events):
            return False
        last = frames[-round(SETTLE_S / TICK_S) :]
        return len(last) * TICK_S >= SETTLE_S and all(frame.outcome in ENDED for frame in last)

    async def _frame(self, at_s: float) -> Frame:
        """A frame from ledger and status. They are written one after the other: waits until they agree."""
        for _ in range(5):
            head, written = self._head(), self._platform.store.status(ROUTE)
            if written is not None and written.get("seq") == head.seq:
                break
            await asyncio.sleep(POLL_INTERVAL_S / 5)
        return frame_of(head, Status.model_validate(written), at_s)

    def _counts(self, revisions: Sequence[Revision]) -> RequestCounts:
        """Requests as the users saw them, and the candidate's as the gateway counted them in the attempt's windows."""
        windows = list(chain(*(one.windows for one in revisions), self._platform.store.windows(ROUTE)))
        given = sum(one.assigned for one in windows)
        failed = sum(one.candidate.bad + one.failures.candidate.late for one in windows)
        return self._load.counts.plus(RequestCounts(0, 0, given, failed))

    def _head(self) -> Revision:
        head = self._platform.store.head(ROUTE)
        if head is None:
            raise errors.Unavailable(
                "the ledger of the rehearsal is empty", hint="run it again with --keep DIR to keep the logs"
            )
        return head

    async def _is_released(self) -> bool:
        status, head = self._platform.store.status(ROUTE) or {}, self._head()
        return head.cause is Cause.RELEASED and status.get("seq") == head.seq

    async def _until(self, condition: Callable[[], Awaitable[bool]], what: str) -> None:
        began, children = time.monotonic(), (self._platform.supervisor.control, self._platform.supervisor.gateway)
        while not await condition():
            waited_s = time.monotonic() - began
            if waited_s > START_TIMEOUT_S + self._scenario.timeouts.request or any(
                child.restarts >= MAX_STARTS for child in children
            ):
                logs = (f"{child.name}: {child.tail() or 'nothing was logged'}" for child in children)
                raise errors.Unavailable(
                    f"the rehearsal did not start: after {waited_s:.0f} s it still waits until {what}",
                    hint="\n  ".join(logs),
                )
            await asyncio.sleep(POLL_INTERVAL_S)


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
