"""The estimator: from two sets of readings and a table to both versions' requests, failures and latency. Pure.

The meaning of each counter was measured against the backends' own counts; docs/rollouts.md has the formulas.
Differences are taken per gateway and then added. If a difference has no meaning (a gateway was added or went away, a
counter fell, an endpoint vanished), the whole window is a gap. It is never counted as zero.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fairlead.contracts.gateway import ClusterKey, Role, key_of
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.table import Table
from fairlead.contracts.window import Buckets, Counts, Failures, Histograms, VersionCounts, VersionFailures, Window
from fairlead.rollout.ports import Reading

UPTIME_SLACK_S = 2.0
"""Envoy reports its uptime in whole seconds, a moment after the other counters."""
CHANGED_GAP = "the versions of the table changed inside the window"
"""The gap at the beginning of every attempt. The metrics work."""

EARLY_GAP = "it ended with the pairs that decide; what gateways counted is in the next one"
"""The gap of a window that has only pairs. The metrics work."""


_UNANSWERED = (
    "upstream_cx_connect_fail",
    "upstream_cx_destroy_remote_with_active_rq",
    "upstream_cx_none_healthy",
)
"""Each is a request that got no complete answer."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What happened between two readings, over all gateways."""

    candidate: Counts = Counts()
    """Attempts (requests and retries) that the candidate answered, or that stable answered first."""
    stable: Counts = Counts()
    """Requests of stable's own traffic share."""
    assigned: int = 0
    """Users' requests that were routed to the candidate."""
    unserved: int = 0
    """Those of them that the candidate did not answer well: failed, ejected, without endpoints, overflowed."""
    rejections: VersionCounts = VersionCounts()
    """Users' requests that were answered with 4xx other than 429."""
    failures: VersionFailures = VersionFailures()
    latency: Histograms = Histograms()

    def plus(self, other: Counted) -> Counted:
        """The sum of both gateways."""
        return Counted(
            self.candidate.plus(other.candidate),
            self.stable.plus(other.stable),
            self.assigned + other.assigned,
            self.unserved + other.unserved,
            self.rejections.plus(other.rejections),
            self.failures.plus(other.failures),
            self.latency.plus(other.latency),
        )

    def window(self, start: datetime, end: datetime, weight: int, gap: str | None = None) -> Window:
        """The window with these counts, under a candidate's weight."""
        return Window(
            start=start,
            end=end,
            weight=weight,
            candidate=self.candidate,
            stable=self.stable,
            assigned=self.assigned,
            unserved=self.unserved,
            rejections=self.rejections,
            failures=self.failures,
            latency=self.latency,
            gap=gap,
        )


class Gap(Exception):
    """The window is no evidence. The message gives the reason."""


def count(before: Sequence[Reading], after: Sequence[Reading], table: Table) -> Counted:
    """The counts between the two sets of readings. Raises Gap if there is no valid difference."""
    first, last = ({reading.gateway: reading for reading in readings} for readings in (before, after))
    if not last:
        raise Gap("no gateway told its counters")
    if missing := sorted(first.keys() - last.keys()):
        raise Gap(f"gateway {missing[0]} did not tell its counters")
    if fresh := sorted(last.keys() - first.keys()):
        raise Gap(f"gateway {fresh[0]} was not counted before")
    total = Counted()
    for name in sorted(last):
        total = total.plus(_one(first[name], last[name], table))
    return total


def _one(before: Reading, after: Reading, table: Table) -> Counted:
    _check_restart(before, after)
    stable = _Difference(before, after, key_of(Role.SPLIT, table, table.stable))
    counts, failures = _stable(stable, table.late_after_s)
    counted = Counted(
        stable=counts,
        rejections=VersionCounts(stable=_rejections(stable)),
        failures=VersionFailures(stable=failures),
        latency=Histograms(stable=stable.latency()),
    )
    if table.candidate is None:
        return counted
    member = _Difference(before, after, key_of(Role.SPLIT, table, table.candidate))
    aggregate = _Difference(before, after, key_of(Role.AGGREGATE, table, table.candidate))
    fallback = _Difference(before, after, key_of(Role.FALLBACK, table, table.stable))
    return counted.plus(_candidate(member, aggregate, fallback, table))


def _rejections(cluster: _Difference) -> Counts:
    """A cluster's 4xx answers without 429.

    For the candidate only its aggregate counts them, which includes requests that spilled to stable. Stable rejects
    those at its own rate, so they can hide a difference but never create one.
    """
    rejected = max(0, cluster.of("upstream_rq_4xx") - cluster.of("upstream_rq_429"))
    return _counts(cluster.of("upstream_rq_completed"), rejected)


def _stable(split: _Difference, late_after_s: float | None) -> tuple[Counts, Failures]:
    """Stable's own share only: requests that spill over or are retried from the candidate go to `fallback`.

    A failure that the gateway hid by its one retry still counts as a failure of the instance.
    """
    n = split.of("upstream_rq_completed")
    failed = split.of("upstream_rq_5xx") + split.of("upstream_rq_retry_success")
    refused = split.of("upstream_rq_429")
    cut = max(0, split.of("upstream_cx_destroy_remote_with_active_rq") - failed)
    counts, timed_out = _counts(n, failed + refused + cut), split.of("upstream_rq_timeout")
    late = 0 if late_after_s is None else split.slower_than(late_after_s) + timed_out + split.given_up(timed_out)
    return counts, _failures(counts.bad, timed_out, split, late)


def _candidate(member: _Difference, aggregate: _Difference, fallback: _Difference, table: Table) -> Counted:
    """Behind an aggregate, only the endpoints' counters have the candidate's own answers.

    If requests are not retried, Envoy counts a 429 as an endpoint's success, so it is taken from the aggregate. An
    answer whose body was cut off changes no response code counter, only the counter of destroyed connections. An
    attempt that stable overtook changes no counter of an endpoint: the gateway only closed its connection.
    """
    ok, failed = member.endpoints()
    refused = 0 if table.idempotent else aggregate.of("upstream_rq_429")
    cut = max(0, member.of("upstream_cx_destroy_remote_with_active_rq") - failed)
    timed_out = member.timeouts()
    both_tried = table.late_after_s is not None
    late = _late(aggregate, member, fallback, failed) if both_tried else 0
    overtaken = min(late, member.given_up(timed_out))
    # When the time is up for an attempt at both versions, the aggregate counts the request twice.
    twice = max(0, min(timed_out, aggregate.of("upstream_rq_timeout") - timed_out)) if both_tried else 0
    assigned = max(0, aggregate.of("upstream_rq_completed") - twice)
    # An answer can be counted at its endpoint just before the reading and at the aggregate just after it.
    unserved = min(assigned, max(0, assigned - ok) + refused + cut)
    counts = _counts(ok + failed + overtaken, failed + refused + cut)
    return Counted(
        candidate=counts,
        assigned=assigned,
        unserved=unserved,
        rejections=VersionCounts(candidate=_rejections(aggregate)),
        failures=VersionFailures(candidate=_failures(counts.bad, timed_out, member, min(late, counts.n))),
        latency=Histograms(candidate=aggregate.latency()),
    )


def _late(aggregate: _Difference, member: _Difference, fallback: _Difference, failed: int) -> int:
    """The candidate's attempts that took longer than its limit: the tries at stable that no failure had caused.

    An attempt that fails after its limit is subtracted too, so this is never too much. Stable's failures are
    subtracted only as far as failures have caused tries: where stable refuses the second try of a late attempt, the
    attempt is still late.
    """
    caused = aggregate.of("retry.upstream_rq_completed") + member.unanswered() + fallback.unanswered()
    return max(0, aggregate.of("upstream_rq_retry") - failed - min(fallback.failed_if_known(), caused))


def _failures(bad: int, timed_out: int, cluster: _Difference, late: int) -> Failures:
    """The bad requests of a cluster by how they failed. What is neither a timeout nor unanswered had an answer."""
    timed_out = min(bad, timed_out)
    unanswered = min(bad - timed_out, cluster.unanswered())
    return Failures(timed_out=timed_out, unanswered=unanswered, server_errors=bad - timed_out - unanswered, late=late)


def _counts(n: int, bad: int) -> Counts:
    return Counts(n=n, bad=min(n, bad))


class _Difference:
    """One cluster of one gateway in two readings. A missing counter was never incremented."""

    def __init__(self, before: Reading, after: Reading, key: ClusterKey) -> None:
        self._gateway, self._key = after.gateway, key
        self._before, self._after = before.clusters.get(key, {}), after.clusters.get(key, {})
        self._slow_before, self._slow_after = before.latency.get(key, ()), after.latency.get(key, ())
        self._first, self._last = before.endpoints.get(key, {}), after.endpoints.get(key, {})
        self._ended_before, self._ended_after = before.timeouts.get(key, {}), after.timeouts.get(key, {})

    def of(self, counter: str) -> int:
        return self._rise(self._before.get(counter, 0), self._after.get(counter, 0), counter)

    def unanswered(self) -> int:
        """Requests that got no complete answer."""
        return sum(map(self.of, _UNANSWERED))

    def endpoints(self) -> tuple[int, int]:
        """The increases of rq_success and rq_error. Raises Gap if an endpoint left, because its counters are gone."""
        for address in self._first:
            if address not in self._last:
                raise Gap(f"endpoint {address} of {self._key.version} left gateway {self._gateway}")
        pairs = [(self._first.get(address, (0, 0)), now, address) for address, now in self._last.items()]
        ok = sum(self._rise(old[0], now[0], address) for old, now, address in pairs)
        failed = sum(self._rise(old[1], now[1], address) for old, now, address in pairs)
        return ok, failed

    def timeouts(self) -> int:
        """The increase of rq_timeout over the endpoints. `endpoints` notices an endpoint that left."""
        before = self._ended_before
        return sum(self._rise(before.get(address, 0), now, address) for address, now in self._ended_after.items())

    def failed_if_known(self) -> int:
        """The increase of rq_error over the endpoints that are still there. An endpoint that left makes no gap here."""
        return sum(max(0, now[1] - self._first.get(address, (0, 0))[1]) for address, now in self._last.items())

    def given_up(self, timed_out: int) -> int:
        """Requests that the gateway ended before there was an answer, other than by `timeouts.request`.

        Over HTTP/1.1 it closes the connection of such a request, and a connection has one request at a time.
        """
        return max(0, self.of("upstream_cx_destroy_local_with_active_rq") - timed_out)

    def slower_than(self, seconds: float) -> int:
        """Answers above the highest bound of the grid that is at most `seconds`; 0 if there is no histogram.

        So these are never too few.
        """
        found, at = self.latency(), bisect_right(GRID_MS, seconds * 1000) - 1
        if not found:
            return 0
        if at == len(GRID_MS) - 1:
            return max(0, self.of("upstream_rq_completed") - found[-1])
        return found[-1] - (found[at] if at >= 0 else 0)

    def latency(self) -> Buckets:
        """The increases of the histogram's counts; empty unless both readings have the histogram."""
        if not self._slow_before and not self._before.get("upstream_rq_completed", 0):
            return self._slow_after  # there were no answers yet
        if not (self._slow_before and self._slow_after):
            return ()
        pairs = zip(self._slow_before, self._slow_after, strict=True)
        return tuple(self._rise(one, other, "upstream_rq_time") for one, other in pairs)

    def _rise(self, before: int, after: int, what: str) -> int:
        if after < before:
            raise Gap(f"{what} of {self._key.version} started anew on gateway {self._gateway}")
        return after - before


def _check_restart(before: Reading, after: Reading) -> None:
    if before.uptime_s is None or after.uptime_s is None:
        return
    elapsed = (after.at - before.at).total_seconds()
    if after.uptime_s < before.uptime_s + elapsed - UPTIME_SLACK_S:
        raise Gap(f"gateway {after.gateway} was restarted")


def with_shorter_limit(one: Table, other: Table) -> Table:
    """`one`, with the shorter `perTry` of both: stable's late answers in a window across a change are never too few."""
    return one.model_copy(update={"per_try_timeout_s": min(one.per_try_timeout_s, other.per_try_timeout_s)})


def comparable(before: Table, after: Table) -> bool:
    """True when a window that began under one table and ended under the other compares the same two versions.

    The weight may differ, because candidate and stable are compared inside the window.
    """

    def compared(table: Table) -> tuple[object, ...]:
        return (table.attempt, table.stable, table.candidate, *_keys(table))

    return compared(before) == compared(after)


def _keys(table: Table) -> Iterable[ClusterKey]:
    return (key_of(Role.SPLIT, table, ref) for ref in (table.stable, table.candidate) if ref is not None)
