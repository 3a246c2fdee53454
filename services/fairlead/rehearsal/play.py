"""Playing a scenario: virtual time, the real engine, and a frame of what it said at every tick."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import get_args

from fairlead.contracts.gates import GateName
from fairlead.contracts.revision import Phase, Revision, Verdict
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.contracts.scenario import Outcome, Scenario
from fairlead.contracts.status import Status
from fairlead.rehearsal.gateway import Told
from fairlead.rehearsal.timetable import Arm
from fairlead.rehearsal.world import RELEASED_AT, ROUTE, World
from fairlead.rollout.reconcile import Engine
from fairlead.rollout.report import Reason
from fairlead.store.sqlite import SqliteStore

TICK_S = 1.0
"""How often the engine looks. It really looks more often; windows are 5 s either way."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the rollout stood at a moment: the candidate's share, and why it was not more."""

    at_s: float
    weight: int
    outcome: Outcome
    gate: str | None = None
    """The gate that holds, or has rolled back."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Played:
    """One run."""

    scenario: Scenario
    seed: int
    frames: tuple[Frame, ...]
    revisions: tuple[Revision, ...]
    """Those since the release, it included."""
    told: Told
    released_at: datetime = RELEASED_AT
    """When the scenario's time was 0."""


def play(scenario: Scenario, *, seed: int) -> Played:
    """Play the whole scenario once. The same seed plays the same."""
    with SqliteStore(Path(":memory:")) as store:
        return _Stage(World(scenario, seed=seed, store=store)).play(seed)


class _Stage:
    """One engine at a time in one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._engine: Engine | None = None
        self._revisions: list[Revision] = []

    def play(self, seed: int) -> Played:
        world, frames = self._world, list[Frame]()
        world.release(Arm.STABLE)
        while world.at_s < 0:
            self._tick()
        before = len(self._revisions)
        world.release(Arm.CANDIDATE)
        while world.at_s <= world.scenario.duration:
            at_s = world.at_s
            self._look()
            frames.append(self._frame(at_s))
            world.pass_time(TICK_S)
        return Played(world.scenario, seed, tuple(frames), tuple(self._revisions[before:]), world.told)

    def _tick(self) -> None:
        self._look()
        self._world.pass_time(TICK_S)

    def _look(self) -> None:
        """What has happened since the last look; then the control plane's turn, if it is there."""
        world = self._world
        world.begin_events(world.at_s - TICK_S)
        world.report_instances()
        if world.has_fault("control-plane-outage"):
            self._engine = None  # what it remembered is lost with it
            return
        if self._engine is None:
            self._engine = Engine(
                world.store,
                gateways=world,
                metrics=world,
                smoke=world,
                clock=world.clock,
                monotonic=lambda: world.at_s,
                log=lambda line: None,
            )
        appended = self._engine.tick()
        if appended:
            self._revisions += appended
            world.publish(appended[-1])

    def _frame(self, at_s: float) -> Frame:
        written = self._world.store.status(ROUTE)
        if written is None:
            raise RuntimeError("the engine has said nothing of the route")
        return frame_of(self._revisions[-1], Status.model_validate(written), at_s)


def share_of(head: Revision) -> int:
    """The candidate's share under a revision; a promoted one has everything."""
    table = head.table
    promoted = head.state.phase is Phase.STABLE and table.stable.version == Arm.CANDIDATE
    return TOTAL_WEIGHT if promoted else table.weight


def frame_of(head: Revision, status: Status, at_s: float) -> Frame:
    """What ledger and status say, in a scenario's words."""
    share, state = share_of(head), head.state
    if state.phase is not Phase.STABLE:
        return _under_way(share, status, at_s)
    if share == TOTAL_WEIGHT:
        return Frame(at_s, share, Outcome.PROMOTED)
    rejected = next((one for one in state.rejected if one.ref.version == Arm.CANDIDATE), None)
    if rejected is None:
        return Frame(at_s, 0, Outcome.HELD, None, "the release has not been looked at yet")
    gate, found, _ = rejected.reason.partition(": ")
    by_gate = found and gate in get_args(GateName)
    return Frame(at_s, 0, Outcome.ROLLED_BACK, gate if by_gate else None, rejected.reason)


def _under_way(weight: int, status: Status, at_s: float) -> Frame:
    progressing = status.condition("Progressing")
    if progressing is not None and progressing.status:
        return Frame(at_s, weight, Outcome.ADVANCING, None, status.waiting)
    blocked = next((check for check in status.checks if check.verdict is not Verdict.PASS), None)
    if blocked is None or (progressing is not None and progressing.reason != Reason.WAITING):
        return Frame(at_s, weight, Outcome.HELD, None, status.waiting)
    return Frame(at_s, weight, Outcome.HELD, blocked.gate, f"{blocked.gate}: {blocked.reason}")
