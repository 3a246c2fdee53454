"""The estimator: two sets of readings and a table in, what was asked of whom and answered how out. Pure.

Which counter says what was measured against what the backends themselves counted; docs/rollouts.md has the formulas.
Differences are taken per gateway and then added. Whatever makes a difference meaningless (a gateway that came or
went, a counter that fell, an endpoint that vanished) makes the whole window a gap: it is never counted as zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fairlead.contracts.gateway import Key, Role, key_of
from fairlead.contracts.revision import Arms, Buckets, Counts, Histograms
from fairlead.contracts.table import Table
from fairlead.rollout.ports import Reading

UPTIME_SLACK_S = 2.0
"""Uptime is told in whole seconds and a moment after the rest."""
CHANGED_GAP = "the versions of the table changed inside the window"
"""The gap with which every attempt begins: nothing is wrong with the metrics."""

EARLY_GAP = "it ended with the pairs that decide; what gateways counted is in the next one"
"""The gap of a window of pairs alone: nothing is wrong with the metrics either."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What happened between two readings, over all gateways."""

    candidate: Counts = Counts()
    """Attempts that the candidate answered."""
    stable: Counts = Counts()
    """Requests of stable's own share."""
    assigned: int = 0
    """Users' requests that were given to the candidate."""
    unserved: int = 0
    """Those of them that it did not answer well: failed, ejected, empty, overflowing."""
    rejections: Arms = Arms()
    """Answers that say the request was wrong (4xx other than 429), among users' requests."""
    latency: Histograms = Histograms()

    def plus(self, other: Counted) -> Counted:
        """Both gateways together."""
        return Counted(
            self.candidate.plus(other.candidate),
            self.stable.plus(other.stable),
            self.assigned + other.assigned,
            self.unserved + other.unserved,
            self.rejections.plus(other.rejections),
            self.latency.plus(other.latency),
        )


class Gap(Exception):
    """The window is no evidence; the message says why."""


def count(before: Sequence[Reading], after: Sequence[Reading], table: Table) -> Counted:
    """What was counted between the two. Raises Gap when that cannot be said."""
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
    counted = Counted(
        stable=_stable(stable),
        rejections=Arms(stable=_rejections(stable)),
        latency=Histograms(stable=stable.latency()),
    )
    if table.candidate is None:
        return counted
    member = _Difference(before, after, key_of(Role.SPLIT, table, table.candidate))
    aggregate = _Difference(before, after, key_of(Role.AGGREGATE, table, table.candidate))
    return counted.plus(_candidate(member, aggregate, idempotent=table.idempotent))


def _rejections(cluster: _Difference) -> Counts:
    """A candidate's are told by its aggregate only, spilled requests' included: those are rejected as stable rejects,
    so they can hide a difference and never make one.
    """
    rejected = max(0, cluster.of("upstream_rq_4xx") - cluster.of("upstream_rq_429"))
    return _counts(cluster.of("upstream_rq_completed"), rejected)


def _stable(split: _Difference) -> Counts:
    """Its own share only: what spills and retries from the candidate lands on `fallback`, never here.

    A failure that the gateway's one retry hid is a failure of the instance all the same.
    """
    n = split.of("upstream_rq_completed")
    failed = split.of("upstream_rq_5xx") + split.of("upstream_rq_retry_success")
    refused = split.of("upstream_rq_429")
    cut = max(0, split.of("upstream_cx_destroy_remote_with_active_rq") - failed)
    return _counts(n, failed + refused + cut)


def _candidate(member: _Difference, aggregate: _Difference, *, idempotent: bool) -> Counted:
    """Behind an aggregate only the endpoints say what the candidate itself answered.

    Where nothing is retried, a 429 counts as an endpoint's success, and the aggregate has to say it. An answer cut
    in its body moves no code counter, only the connection's end does.
    """
    ok, failed = member.endpoints()
    refused = 0 if idempotent else aggregate.of("upstream_rq_429")
    cut = max(0, member.of("upstream_cx_destroy_remote_with_active_rq") - failed)
    assigned = aggregate.of("upstream_rq_completed")
    # An answer can be counted at its endpoint just before, and at the aggregate just after the reading.
    unserved = min(assigned, max(0, assigned - ok) + refused + cut)
    return Counted(
        candidate=_counts(ok + failed, failed + refused + cut),
        assigned=assigned,
        unserved=unserved,
        rejections=Arms(candidate=_rejections(aggregate)),
        latency=Histograms(candidate=aggregate.latency()),
    )


def _counts(n: int, bad: int) -> Counts:
    return Counts(n=n, bad=min(n, bad))


class _Difference:
    """One cluster of one gateway, before and after. A counter that is not there was never incremented."""

    def __init__(self, before: Reading, after: Reading, key: Key) -> None:
        self._gateway, self._key = after.gateway, key
        self._before, self._after = before.clusters.get(key, {}), after.clusters.get(key, {})
        self._slow_before, self._slow_after = before.latency.get(key, ()), after.latency.get(key, ())
        self._first, self._last = before.endpoints.get(key, {}), after.endpoints.get(key, {})

    def of(self, counter: str) -> int:
        return self._rise(self._before.get(counter, 0), self._after.get(counter, 0), counter)

    def endpoints(self) -> tuple[int, int]:
        """The rises of rq_success and rq_error. An endpoint that left has taken its counters along."""
        for address in self._first:
            if address not in self._last:
                raise Gap(f"endpoint {address} of {self._key.version} left gateway {self._gateway}")
        pairs = [(self._first.get(address, (0, 0)), now, address) for address, now in self._last.items()]
        ok = sum(self._rise(old[0], now[0], address) for old, now, address in pairs)
        failed = sum(self._rise(old[1], now[1], address) for old, now, address in pairs)
        return ok, failed

    def latency(self) -> Buckets:
        """The rises of the histogram's counts; empty where it was not told at both ends."""
        if not self._slow_before and not self._before.get("upstream_rq_completed", 0):
            return self._slow_after  # nothing had been timed yet
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


def comparable(before: Table, after: Table) -> bool:
    """True when a window that began under one table and ended under the other compares the same two versions.

    Another weight is no harm: candidate and stable are compared inside the window.
    """

    def compared(table: Table) -> tuple[object, ...]:
        return (table.attempt, table.stable, table.candidate, *_keys(table))

    return compared(before) == compared(after)


def _keys(table: Table) -> Iterable[Key]:
    return (key_of(Role.SPLIT, table, ref) for ref in (table.stable, table.candidate) if ref is not None)
