"""Simulated ports of the engine: gateways, metrics, smoke test and clock, driven by a scenario and a seed."""

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
from fairlead.rehearsal.schedule import Behaviours, VersionRole, behaviours_at, has_fault, rate_at
from fairlead.rehearsal.virtual.gateway import PORT, SimulatedGateway
from fairlead.rollout.analysis.envoy_stats import parse_stats
from fairlead.rollout.ports import GatewayState, Reading
from fairlead.store.sqlite import SqliteStore

RELEASED_AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
"""The time of the release, where the scenario's time is 0. Windows begin here; the date has no meaning."""
WARM_UP_S = 10.0
"""How long stable serves before the candidate is released."""


class SimulatedPorts:
    """Implements `ports.Gateways`, `ports.MetricSource`, `ports.Smoke` and `ports.Clock` for one scenario."""

    def __init__(self, scenario: Scenario, *, seed: int, store: SqliteStore) -> None:
        self.scenario = scenario
        self.store = store
        self.at_s = -WARM_UP_S
        self.counts = RequestCounts()
        self._rng = np.random.default_rng(seed)
        self._gateways = [
            SimulatedGateway(f"gateway-{at + 1}", started_at=self.at_s) for at in range(scenario.gateways)
        ]
        self._reported: Behaviours | None = None
        self._actions = 0

    # Called by the engine

    def clock(self) -> datetime:
        """The current virtual time."""
        return RELEASED_AT + timedelta(seconds=self.at_s)

    def gateways(self) -> Sequence[GatewayState]:
        """All gateways. With the fault `gateway-silent`, the first one is unreachable."""
        return [
            GatewayState(one.name, False)
            if self._is_silent(one)
            else GatewayState(one.name, True, {ROUTE: one.seq} if one.seq else {})
            for one in self._gateways
        ]

    def read(self) -> Sequence[Reading]:
        """The counters of every reachable gateway, parsed by the production parser of Envoy's page."""
        if self.has_fault("metrics-outage"):
            return ()
        reachable = (one for one in self._gateways if not self._is_silent(one))
        return [parse_stats(one.stats_page(self.at_s), gateway=one.name, at=self.clock()) for one in reachable]

    def smoke(self, table: Table, ref: VersionRef) -> Check:
        """The check of the smoke test; the scenario's `golden` decides it."""
        good = self.behaviours.candidate.golden
        reason = "the golden rows were answered as expected" if good else "golden row 0: another answer than expected"
        return Check(gate="smoke", verdict=Verdict.PASS if good else Verdict.FAIL, reason=reason)

    # Read from the scenario

    def has_fault(self, name: str) -> bool:
        """True while the fault lasts."""
        return has_fault(self.scenario, name, self.at_s)

    @property
    def behaviours(self) -> Behaviours:
        """How both versions behave now."""
        return behaviours_at(self.scenario, self.at_s)

    @property
    def rate(self) -> float:
        """Requests per second now."""
        return rate_at(self.scenario, self.at_s)

    def _is_silent(self, gateway: SimulatedGateway) -> bool:
        return gateway is self._gateways[0] and self.has_fault("gateway-silent")

    # Called by the simulation

    def release(self, version: VersionRole) -> Route:
        """Write the route's spec: both versions, with this one as the target."""
        spec = RouteSpec(
            model=ROUTE,
            versions={role.value: VersionSpec() for role in VersionRole},
            target=Target(version=version.value),
            timeouts=self.scenario.timeouts,
            strategy=self.scenario.strategy,
        )
        return self.store.put_route(ROUTE, spec, now=self.clock(), actor="scenario")

    def report_instances(self) -> None:
        """Update the ready instances in the store, if they have changed."""
        behaviours = self.behaviours
        if behaviours == self._reported:
            return
        self._reported = behaviours
        wanted = {one.id: one for one in self._instances(behaviours)}
        known = {one.id for one in self.store.instances()}
        for gone in known - wanted.keys():
            self.store.remove_instance(gone)
        for new in wanted.keys() - known:
            self.store.report(wanted[new])

    def _instances(self, behaviours: Behaviours) -> Iterator[Instance]:
        for number, (role, behaviour) in enumerate(
            ((VersionRole.STABLE, behaviours.stable), (VersionRole.CANDIDATE, behaviours.candidate))
        ):
            for at in range(behaviour.instances):
                yield Instance(
                    id=f"{role.value}/{at}",
                    model=ROUTE,
                    ref=VersionSpec().ref(role.value),
                    host=f"10.0.{number}.{at + 1}",
                    port=PORT,
                    ready=True,
                    observed_at=self.clock(),
                )

    def begin_events(self, since_s: float) -> None:
        """Apply the gateway restarts and actions whose time is after `since_s` and not after now."""
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
        """Let every gateway serve the head at once. The engine sees the acknowledgements at its next tick."""
        for gateway in self._gateways:
            gateway.program(head.seq, head.table)

    def pass_time(self, seconds: float) -> None:
        """Let users send requests for this long, and advance the time."""
        behaviours = self.behaviours
        for gateway in self._gateways:
            n = int(self._rng.poisson(self.rate * seconds / len(self._gateways)))
            counts = gateway.serve(n, behaviours, now=self.at_s, rng=self._rng)
            if self.at_s >= 0:
                self.counts = self.counts.plus(counts)
        self.at_s = round(self.at_s + seconds, 6)
