"""A simulated gateway: it serves a routing table, and reports its counters as the text of Envoy's admin page.

docs/rollouts.md describes the counters. The candidate's failures go to stable's `fallback`, which is no evidence. In
the aggregate cluster, only the counters of the endpoints say what the candidate itself answered.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fairlead.contracts.gateway import Role, cluster_name, stat_name
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.route import TOTAL_WEIGHT, VersionRef
from fairlead.contracts.scenario import Behaviour
from fairlead.contracts.table import Table
from fairlead.rehearsal.frames import RequestCounts
from fairlead.rehearsal.schedule import Behaviours, VersionRole
from fairlead.rehearsal.virtual import responses
from fairlead.rehearsal.virtual.instances import Ending, Endings, Instance, send
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
        self._retries = self._closed = 0
        """Second tries of the candidate's requests, and connections to it that were closed before an answer."""
        self._twice = 0
        """Requests that timed out at both versions, which Envoy's aggregate counts twice."""

    def program(self, seq: int, table: Table) -> None:
        """Serve another revision. The counters of removed clusters are dropped."""
        before, self.seq, self._table = self._table, seq, table
        if before is None or before.stable != table.stable:
            self._split = NO_RESPONSES
        if before is None or (before.candidate, before.attempt) != (table.candidate, table.attempt):
            self._forget_candidate()

    def restart(self, now: float) -> None:
        """Restart with the same configuration; all counters are 0."""
        self.started_at = now
        self._split = NO_RESPONSES
        self._forget_candidate()

    def _forget_candidate(self) -> None:
        self._aggregate, self._instances = NO_RESPONSES, []
        self._retries = self._closed = self._twice = 0

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
        """The candidate's requests: tried there, and answered by stable where that failed or was faster."""
        if not given or table.candidate is None:
            return NO_RESPONSES, 0
        endings, seconds = _draw_endings(table, given, behaviours, rng)
        tried = send(self._instances, endings, now=now, rng=rng)
        endings, seconds = endings[:tried], seconds[:tried]
        ok, failed = int((endings == Ending.OK).sum()), int((endings == Ending.FAILED).sum())
        overtaken, timed_out = int((endings == Ending.OVERTAKEN).sum()), int((endings == Ending.TIMED_OUT).sum())
        slow = seconds[(endings != Ending.OK) & (endings != Ending.FAILED)]
        is_hedged = table.late_after_s is not None
        self._retries += failed + (len(slow) if is_hedged else 0)
        self._closed += overtaken + timed_out
        self._twice += timed_out if is_hedged else 0
        late = responses.count_latencies(slow, timed_out=timed_out)
        within = table.late_after_s or table.request_timeout_s
        served = responses.draw_with_failures(behaviours.candidate, ok, 0, limit_s=within, rng=rng)
        rest = self._serve_by(table, table.stable, failed + given - tried, behaviours, rng)
        return served.plus(late).plus(rest), failed + len(slow)

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
                yield from _cluster(_stat(Role.AGGREGATE, table, table.candidate), self._aggregate, self._twice)
                member = _stat(Role.SPLIT, table, table.candidate)
                if self._retries:
                    yield f"{_stat(Role.AGGREGATE, table, table.candidate)}.upstream_rq_retry: {self._retries}"
                if self._closed:
                    yield f"{member}.upstream_cx_destroy_local_with_active_rq: {self._closed}"
                for instance in self._instances:
                    if instance.ok:
                        yield f"{member}.endpoint.{instance.address}.rq_success: {instance.ok}"
                    if instance.failed:
                        yield f"{member}.endpoint.{instance.address}.rq_error: {instance.failed}"
                    if instance.timed_out:
                        yield f"{member}.endpoint.{instance.address}.rq_timeout: {instance.timed_out}"
        yield f"server.uptime: {int(now - self.started_at)}"


def _draw_endings(table: Table, n: int, behaviours: Behaviours, rng: Generator) -> tuple[Endings, NDArray[np.float64]]:
    """How `n` attempts at the candidate end, and after how many seconds the slow ones are over for the user.

    After `perTry` stable is asked too: the first good answer counts, until the time of the whole request is up.
    """
    candidate, limit_s = behaviours.candidate, table.late_after_s or table.request_timeout_s
    slow = rng.random(n) < responses.latency_shares(candidate.latency, limit_s).late
    fails = rng.random(n) < candidate.errors
    endings = np.where(slow, int(Ending.TIMED_OUT), np.where(fails, int(Ending.FAILED), int(Ending.OK)))
    seconds, count = np.full(n, table.request_timeout_s), int(slow.sum())
    if not count or table.late_after_s is None:
        return endings, seconds
    own = responses.draw_latencies(candidate.latency, count, rng, above_s=limit_s)
    other = limit_s + responses.draw_latencies(behaviours.stable.latency, count, rng)
    own[fails[slow]] = np.inf
    other[(rng.random(count) < behaviours.stable.errors) | (behaviours.stable.instances == 0)] = np.inf
    first = np.minimum(own, other)
    in_time = first <= table.request_timeout_s
    answered = np.where(own <= other, int(Ending.LATE), int(Ending.OVERTAKEN))
    endings[slow] = np.where(in_time, answered, int(Ending.TIMED_OUT))
    seconds[slow] = np.minimum(first, table.request_timeout_s)
    return endings, seconds


def _behaviour_of(ref: VersionRef, behaviours: Behaviours) -> Behaviour:
    return behaviours.candidate if ref.version == VersionRole.CANDIDATE else behaviours.stable


def _stat(role: Role, table: Table, ref: VersionRef) -> str:
    return f"cluster.{stat_name(cluster_name(role, table.namespace, table.model, ref.version))}"


def _cluster(stat: str, counted: ResponseCounts, twice: int = 0) -> Iterator[str]:
    """Only counters that are not 0, as with `usedonly`."""
    if not counted.n:
        return
    yield f"{stat}.upstream_rq_completed: {counted.n + twice}"
    if counted.failed:
        yield f"{stat}.upstream_rq_5xx: {counted.failed + twice}"
    if counted.timed_out:
        yield f"{stat}.upstream_rq_timeout: {counted.timed_out + twice}"
        yield f"{stat}.upstream_cx_destroy_local_with_active_rq: {counted.timed_out}"
    if counted.rejected:
        yield f"{stat}.upstream_rq_4xx: {counted.rejected}"
    reached = np.cumsum(counted.buckets)
    buckets = (f"B{bound:g}(0,{count})" for bound, count in zip(GRID_MS, reached.tolist(), strict=False))
    yield f"{stat}.upstream_rq_time: {' '.join(buckets)}"
