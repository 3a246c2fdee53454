"""Playing a scenario: virtual time, the real engine, and a frame of what it said at every tick."""

from __future__ import annotations

from pathlib import Path

from fairlead.contracts.revision import Revision
from fairlead.contracts.scenario import Scenario
from fairlead.contracts.status import Status
from fairlead.rehearsal.frames import ROUTE, TICK_S, Frame, Run, frame_of
from fairlead.rehearsal.schedule import Arm
from fairlead.rehearsal.virtual.ports import RELEASED_AT, SimulatedPorts
from fairlead.rollout.reconcile import Engine
from fairlead.store.sqlite import SqliteStore


def play(scenario: Scenario, *, seed: int) -> Run:
    """Play the whole scenario once. The same seed plays the same."""
    with SqliteStore(Path(":memory:")) as store:
        return _Simulation(SimulatedPorts(scenario, seed=seed, store=store)).play(seed)


class _Simulation:
    """One engine at a time in one world."""

    def __init__(self, world: SimulatedPorts) -> None:
        self._world = world
        self._engine: Engine | None = None
        self._revisions: list[Revision] = []

    def play(self, seed: int) -> Run:
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
        return Run(world.scenario, seed, tuple(frames), tuple(self._revisions[before:]), world.told, RELEASED_AT)

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
