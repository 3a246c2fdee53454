"""A simulated gateway: it serves a routing table, and reports its counters as the text of Envoy's admin page.

docs/rollouts.md describes the counters. The candidate's failures go to stable's `fallback`, which is no evidence. In
the aggregate cluster, only the counters of the endpoints say what the candidate itself answered.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator

from fairlead.contracts.gateway import Role, cluster_name, stat_name
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.route import TOTAL_WEIGHT, VersionRef
from fairlead.contracts.scenario import Behaviour
from fairlead.contracts.table import Table
from fairlead.rehearsal.frames import RequestCounts
from fairlead.rehearsal.schedule import Behaviours, VersionRole
from fairlead.rehearsal.virtual import responses
from fairlead.rehearsal.virtual.instances import Instance, send
from fairlead.rehearsal.virtual.responses import NO_RESPONSES, ResponseCounts

PORT = 8080


class SimulatedGateway:
    """One gateway process. Its counters start at 0 and are lost when it restarts."""

    def __init__(self, name: str, *, started_at: float) -> None:
        self.name = name
        self.started_at = started_at
        self.seq = 0
        """The revision that it serves."""
        self._table: Table | None = None
        self._split = self._aggregate = NO_RESPONSES
        self._instances: list[Instance] = []

    def program(self, seq: int, table: Table) -> None:
        """Serve another revision. The counters of removed clusters are dropped."""
        before, self.seq, self._table = self._table, seq, table
        if before is None or before.stable != table.stable:
            self._split = NO_RESPONSES
        if before is None or (before.candidate, before.attempt) != (table.candidate, table.attempt):
            self._aggregate, self._instances = NO_RESPONSES, []

    def restart(self, now: float) -> None:
        """Restart with the same configuration; all counters are 0."""
        self.started_at = now
        self._split = self._aggregate = NO_RESPONSES
        self._instances = []

    def serve(self, n: int, behaviours: Behaviours, *, now: float, rng: Generator) -> RequestCounts:
        """Serve `n` requests of users, and return what they saw."""
        table = self._table
        if table is None:
            return RequestCounts()
        if table.candidate is not None:
            self._scale(behaviours.candidate.instances)
        given = int(rng.binomial(n, table.weight / TOTAL_WEIGHT)) if table.candidate and table.weight else 0
        own = self._serve_by(table, table.stable, n - given, behaviours, rng)
        self._split = self._split.plus(own)
        shared, failed = self._serve_candidate(table, given, behaviours, now, rng)
        self._aggregate = self._aggregate.plus(shared)
        bad = own.failed + own.rejected + shared.failed + shared.rejected
        return RequestCounts(n, bad, given, failed)

    def _serve_by(
        self, table: Table, ref: VersionRef, n: int, behaviours: Behaviours, rng: Generator
    ) -> ResponseCounts:
        """Requests without a fallback: the user gets the response of this version."""
        behaviour = _behaviour_of(ref, behaviours)
        if not behaviour.instances:
            behaviour = behaviour.model_copy(update={"errors": 1.0})
        return responses.draw(behaviour, n, limit_s=table.request_timeout_s, rng=rng)

    def _serve_candidate(
        self, table: Table, given: int, behaviours: Behaviours, now: float, rng: Generator
    ) -> tuple[ResponseCounts, int]:
        """The candidate's requests: tried there, and answered by stable where that failed."""
        if not given or table.candidate is None:
            return NO_RESPONSES, 0
        behaviour, limit_s = behaviours.candidate, table.per_try_timeout_s
        tried = send(self._instances, given, responses.failure_probability(behaviour, limit_s), now=now, rng=rng)
        served = responses.draw_with_failures(behaviour, tried.ok, 0, limit_s=limit_s, rng=rng)
        rest = self._serve_by(table, table.stable, tried.failed + tried.spilled, behaviours, rng)
        return served.plus(rest), tried.failed

    def _scale(self, instances: int) -> None:
        """Add or remove instances. The newest is removed first, with its counters."""
        del self._instances[instances:]
        self._instances += [Instance(f"10.0.1.{at + 1}_{PORT}") for at in range(len(self._instances), instances)]

    def stats_page(self, now: float) -> str:
        """The text of Envoy's /stats page."""
        return "\n".join(self._lines(now)) + "\n"

    def _lines(self, now: float) -> Iterator[str]:
        table = self._table
        if table is not None:
            yield from _cluster(_stat(Role.SPLIT, table, table.stable), self._split)
            if table.candidate is not None:
                yield from _cluster(_stat(Role.AGGREGATE, table, table.candidate), self._aggregate)
                member = _stat(Role.SPLIT, table, table.candidate)
                for instance in self._instances:
                    if instance.ok:
                        yield f"{member}.endpoint.{instance.address}.rq_success: {instance.ok}"
                    if instance.failed:
                        yield f"{member}.endpoint.{instance.address}.rq_error: {instance.failed}"
        yield f"server.uptime: {int(now - self.started_at)}"


def _behaviour_of(ref: VersionRef, behaviours: Behaviours) -> Behaviour:
    return behaviours.candidate if ref.version == VersionRole.CANDIDATE else behaviours.stable


def _stat(role: Role, table: Table, ref: VersionRef) -> str:
    return f"cluster.{stat_name(cluster_name(role, table.namespace, table.model, ref.version))}"


def _cluster(stat: str, counted: ResponseCounts) -> Iterator[str]:
    """Only counters that are not 0, as with `usedonly`."""
    if not counted.n:
        return
    yield f"{stat}.upstream_rq_completed: {counted.n}"
    if counted.failed:
        yield f"{stat}.upstream_rq_5xx: {counted.failed}"
    if counted.rejected:
        yield f"{stat}.upstream_rq_4xx: {counted.rejected}"
    reached = np.cumsum(counted.buckets)
    buckets = (f"B{bound:g}(0,{count})" for bound, count in zip(GRID_MS, reached.tolist(), strict=False))
    yield f"{stat}.upstream_rq_time: {' '.join(buckets)}"
