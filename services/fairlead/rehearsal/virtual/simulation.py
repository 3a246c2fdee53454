"""Plays a scenario in virtual time with the real engine, and records a frame at every tick."""

from __future__ import annotations

from pathlib import Path

from fairlead.contracts.revision import Revision
from fairlead.contracts.scenario import Scenario
from fairlead.contracts.status import Status
from fairlead.rehearsal.frames import ROUTE, TICK_S, Frame, Run, frame_of
from fairlead.rehearsal.schedule import VersionRole
from fairlead.rehearsal.virtual.ports import RELEASED_AT, SimulatedPorts
from fairlead.rollout.reconcile import Engine
from fairlead.store.sqlite import SqliteStore


def play(scenario: Scenario, *, seed: int) -> Run:
    """Play the whole scenario once. The same seed gives the same run."""
    with SqliteStore(Path(":memory:")) as store:
        return play_in(store, scenario, seed=seed)


def play_in(store: SqliteStore, scenario: Scenario, *, seed: int) -> Run:
    """The same in an empty store, which keeps what the engine wrote."""
    return _Simulation(SimulatedPorts(scenario, seed=seed, store=store)).play(seed)


class _Simulation:
    """One run. A control plane outage replaces the engine; the simulated ports and the store stay."""

    def __init__(self, ports: SimulatedPorts) -> None:
        self._ports = ports
        self._engine: Engine | None = None
        self._revisions: list[Revision] = []

    def play(self, seed: int) -> Run:
        ports, frames = self._ports, list[Frame]()
        ports.release(VersionRole.STABLE)
        while ports.at_s < 0:
            self._tick()
        before = len(self._revisions)
        ports.release(VersionRole.CANDIDATE)
        while ports.at_s <= ports.scenario.duration:
            at_s = ports.at_s
            self._run_engine()
            frames.append(self._frame(at_s))
            ports.pass_time(TICK_S)
        return Run(ports.scenario, seed, tuple(frames), tuple(self._revisions[before:]), ports.counts, RELEASED_AT)

    def _tick(self) -> None:
        self._run_engine()
        self._ports.pass_time(TICK_S)

    def _run_engine(self) -> None:
        """Apply the events since the last tick; then let the engine tick, unless the control plane is away."""
        ports = self._ports
        ports.begin_events(ports.at_s - TICK_S)
        ports.report_instances()
        if ports.has_fault("control-plane-outage"):
            self._engine = None  # its memory is lost with it
            return
        if self._engine is None:
            self._engine = Engine(
                ports.store,
                gateways=ports,
                metrics=ports,
                smoke=ports,
                clock=ports.clock,
                monotonic=lambda: ports.at_s,
                log=lambda line: None,
            )
        appended = self._engine.tick()
        if appended:
            self._revisions += appended
            ports.publish(appended[-1])

    def _frame(self, at_s: float) -> Frame:
        written = self._ports.store.status(ROUTE)
        if written is None:
            raise RuntimeError("the engine has not written a status of the route")
        return frame_of(self._revisions[-1], Status.model_validate(written), at_s)
