"""The world around the engine: its ports, provided by what a scenario says and chance draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from fairlead.contracts.action import Action
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Check, Revision, Verdict
from fairlead.contracts.route import Route, RouteSpec, Target, VersionRef, VersionSpec
from fairlead.contracts.scenario import Scenario
from fairlead.contracts.table import Table
from fairlead.rehearsal.frames import ROUTE, RequestCounts
from fairlead.rehearsal.schedule import Arm, Behaving, behaving_at, has_fault, rate_at
from fairlead.rehearsal.virtual.gateway import PORT, SimulatedGateway
from fairlead.rollout.analysis.envoy_stats import parse_stats
from fairlead.rollout.ports import GatewayState, Reading
from fairlead.store.sqlite import SqliteStore

RELEASED_AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
"""When the scenario's time is 0. Which day it is means nothing; that windows begin here does."""
BEFORE_S = 10.0
"""How long stable has served when the candidate is released."""


class SimulatedPorts:
    """`ports.Gateways`, `ports.MetricSource`, `ports.Smoke` and `ports.Clock` over one scenario."""

    def __init__(self, scenario: Scenario, *, seed: int, store: SqliteStore) -> None:
        self.scenario = scenario
        self.store = store
        self.at_s = -BEFORE_S
        self.told = RequestCounts()
        self._rng = np.random.default_rng(seed)
        self._gateways = [
            SimulatedGateway(f"gateway-{at + 1}", started_at=self.at_s) for at in range(scenario.gateways)
        ]
        self._reported: Behaving | None = None
        self._actions = 0

    # What the engine sees

    def clock(self) -> datetime:
        """Now, in virtual time."""
        return RELEASED_AT + timedelta(seconds=self.at_s)

    def gateways(self) -> Sequence[GatewayState]:
        """All of them; a silent one is the first."""
        return [
            GatewayState(one.name, False)
            if self._is_silent(one)
            else GatewayState(one.name, True, {ROUTE: one.seq} if one.seq else {})
            for one in self._gateways
        ]

    def read(self) -> Sequence[Reading]:
        """Every page of counters, read by the code that reads Envoy's."""
        if self.has_fault("metrics-outage"):
            return ()
        asked = (one for one in self._gateways if not self._is_silent(one))
        return [parse_stats(one.page(self.at_s), gateway=one.name, at=self.clock()) for one in asked]

    def smoke(self, table: Table, ref: VersionRef) -> Check:
        """Whether the golden rows come back as expected is the scenario's word."""
        good = self.behaving.candidate.golden
        told = "the golden rows were answered as expected" if good else "golden row 0: another answer than expected"
        return Check(gate="smoke", verdict=Verdict.PASS if good else Verdict.FAIL, reason=told)

    # What the scenario says

    def has_fault(self, name: str) -> bool:
        """True while it lasts."""
        return has_fault(self.scenario, name, self.at_s)

    @property
    def behaving(self) -> Behaving:
        """Both versions as they are just now."""
        return behaving_at(self.scenario, self.at_s)

    @property
    def rate(self) -> float:
        """Requests per second just now."""
        return rate_at(self.scenario, self.at_s)

    def _is_silent(self, gateway: SimulatedGateway) -> bool:
        return gateway is self._gateways[0] and self.has_fault("gateway-silent")

    # What happens

    def release(self, version: Arm) -> Route:
        """The user's wish: both versions, and which of them shall serve."""
        spec = RouteSpec(
            model=ROUTE,
            versions={arm.value: VersionSpec() for arm in Arm},
            target=Target(version=version.value),
            timeouts=self.scenario.timeouts,
            strategy=self.scenario.strategy,
        )
        return self.store.put_route(ROUTE, spec, now=self.clock(), actor="scenario")

    def report_instances(self) -> None:
        """Tell the store which instances are ready, where that has changed."""
        behaving = self.behaving
        if behaving == self._reported:
            return
        self._reported = behaving
        wanted = {one.id: one for one in self._instances(behaving)}
        known = {one.id for one in self.store.instances()}
        for gone in known - wanted.keys():
            self.store.forget(gone)
        for new in wanted.keys() - known:
            self.store.report(wanted[new])

    def _instances(self, behaving: Behaving) -> Iterator[Instance]:
        for number, (arm, behaviour) in enumerate(((Arm.STABLE, behaving.stable), (Arm.CANDIDATE, behaving.candidate))):
            for at in range(behaviour.instances):
                yield Instance(
                    id=f"{arm.value}/{at}",
                    model=ROUTE,
                    ref=VersionSpec().ref(arm.value),
                    host=f"10.0.{number}.{at + 1}",
                    port=PORT,
                    ready=True,
                    observed_at=self.clock(),
                )

    def begin_events(self, since_s: float) -> None:
        """What happens at a moment and is over at once, for the moments after `since_s` up to now."""
        for event in self.scenario.events:
            if not since_s < event.at <= self.at_s:
                continue
            if event.fault == "gateway-restart":
                self._gateways[0].restart(self.at_s)
            if event.action is not None:
                self._actions += 1
                self.store.create_action(
                    Action(
                        name=f"action-{self._actions}",
                        route=ROUTE,
                        type=event.action,
                        actor="scenario",
                        created_at=self.clock(),
                    )
                )

    def publish(self, head: Revision) -> None:
        """Gateways serve the head; the engine hears of it when it next looks."""
        for gateway in self._gateways:
            gateway.program(head.seq, head.table)

    def pass_time(self, seconds: float) -> None:
        """Users ask, and time goes on."""
        behaving = self.behaving
        for gateway in self._gateways:
            n = int(self._rng.poisson(self.rate * seconds / len(self._gateways)))
            told = gateway.serve(n, behaving, now=self.at_s, rng=self._rng)
            if self.at_s >= 0:
                self.told = self.told.plus(told)
        self.at_s = round(self.at_s + seconds, 6)
