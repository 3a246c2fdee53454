"""One made-up gateway: it serves a table, and tells its counters as the text of Envoy's admin page.

Which counter rises when is docs/rollouts.md's: the candidate's failures land on stable's `fallback`, which is no
evidence; behind the aggregate only the endpoints say what the candidate itself answered.
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
from fairlead.rehearsal.schedule import Arm, Behaving
from fairlead.rehearsal.virtual import answers
from fairlead.rehearsal.virtual.answers import NOTHING, Answered
from fairlead.rehearsal.virtual.hosts import Host, attempt

PORT = 8080


class SimulatedGateway:
    """Counters as a gateway's process has them: since its start, gone with it."""

    def __init__(self, name: str, *, started_at: float) -> None:
        self.name = name
        self.started_at = started_at
        self.seq = 0
        """The revision it serves."""
        self._table: Table | None = None
        self._split = self._aggregate = NOTHING
        self._hosts: list[Host] = []

    def program(self, seq: int, table: Table) -> None:
        """Serve another revision. Clusters that it has no more take their counters along."""
        before, self.seq, self._table = self._table, seq, table
        if before is None or before.stable != table.stable:
            self._split = NOTHING
        if before is None or (before.candidate, before.attempt) != (table.candidate, table.attempt):
            self._aggregate, self._hosts = NOTHING, []

    def restart(self, now: float) -> None:
        """Begin anew: same configuration, nothing counted."""
        self.started_at = now
        self._split = self._aggregate = NOTHING
        self._hosts = []

    def serve(self, n: int, behaving: Behaving, *, now: float, rng: Generator) -> RequestCounts:
        """So many users' requests at once."""
        table = self._table
        if table is None:
            return RequestCounts()
        if table.candidate is not None:
            self._match(behaving.candidate.instances)
        given = int(rng.binomial(n, table.weight / TOTAL_WEIGHT)) if table.candidate and table.weight else 0
        own = self._by(table, table.stable, n - given, behaving, rng)
        self._split = self._split.plus(own)
        shared, failed = self._shared(table, given, behaving, now, rng)
        self._aggregate = self._aggregate.plus(shared)
        bad = own.failed + own.rejected + shared.failed + shared.rejected
        return RequestCounts(n, bad, given, failed)

    def _by(self, table: Table, ref: VersionRef, n: int, behaving: Behaving, rng: Generator) -> Answered:
        """Requests whose answer reaches the user whatever it is."""
        behaviour = _of(ref, behaving)
        if not behaviour.instances:
            behaviour = behaviour.model_copy(update={"errors": 1.0})
        return answers.draw(behaviour, n, limit_s=table.request_timeout_s, rng=rng)

    def _shared(self, table: Table, given: int, behaving: Behaving, now: float, rng: Generator) -> tuple[Answered, int]:
        """The candidate's share: tried there, and by stable where that went wrong."""
        if not given or table.candidate is None:
            return NOTHING, 0
        behaviour, limit_s = behaving.candidate, table.per_try_timeout_s
        tried = attempt(self._hosts, given, answers.failing(behaviour, limit_s), now=now, rng=rng)
        served = answers.outcomes(behaviour, tried.ok, 0, limit_s=limit_s, rng=rng)
        rest = self._by(table, table.stable, tried.failed + tried.spilled, behaving, rng)
        return served.plus(rest), tried.failed

    def _match(self, instances: int) -> None:
        """An instance that leaves takes its counters along; the last to come is the first to go."""
        del self._hosts[instances:]
        self._hosts += [Host(f"10.0.1.{at + 1}_{PORT}") for at in range(len(self._hosts), instances)]

    def page(self, now: float) -> str:
        """What /stats would say."""
        return "\n".join(self._lines(now)) + "\n"

    def _lines(self, now: float) -> Iterator[str]:
        table = self._table
        if table is not None:
            yield from _cluster(_stat(Role.SPLIT, table, table.stable), self._split)
            if table.candidate is not None:
                yield from _cluster(_stat(Role.AGGREGATE, table, table.candidate), self._aggregate)
                member = _stat(Role.SPLIT, table, table.candidate)
                for host in self._hosts:
                    if host.ok:
                        yield f"{member}.endpoint.{host.address}.rq_success: {host.ok}"
                    if host.failed:
                        yield f"{member}.endpoint.{host.address}.rq_error: {host.failed}"
        yield f"server.uptime: {int(now - self.started_at)}"


def _of(ref: VersionRef, behaving: Behaving) -> Behaviour:
    return behaving.candidate if ref.version == Arm.CANDIDATE else behaving.stable


def _stat(role: Role, table: Table, ref: VersionRef) -> str:
    return f"cluster.{stat_name(cluster_name(role, table.namespace, table.model, ref.version))}"


def _cluster(stat: str, counted: Answered) -> Iterator[str]:
    """Only what was ever counted, as `usedonly` asks."""
    if not counted.n:
        return
    yield f"{stat}.upstream_rq_completed: {counted.n}"
    if counted.failed:
        yield f"{stat}.upstream_rq_5xx: {counted.failed}"
    if counted.rejected:
        yield f"{stat}.upstream_rq_4xx: {counted.rejected}"
    reached = np.cumsum(counted.times)
    buckets = (f"B{bound:g}(0,{count})" for bound, count in zip(GRID_MS, reached.tolist(), strict=False))
    yield f"{stat}.upstream_rq_time: {' '.join(buckets)}"
