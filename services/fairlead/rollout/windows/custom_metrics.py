"""Counts of custom gates, from the user's own metrics in Prometheus, for windows of any source.

The ledger has the time up to which each gate has counted. A gap of one gate does not stop the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fairlead.contracts.gates import GateSpec, is_custom
from fairlead.contracts.promql import fill
from fairlead.contracts.route import VersionRef
from fairlead.contracts.window import Counts, CustomGateCounts, VersionCounts
from fairlead.errors import Unavailable
from fairlead.rollout.analysis.counts import Gap
from fairlead.rollout.analysis.custom_counts import NotScrapedYet, VersionSeries, count, is_scraped
from fairlead.rollout.analysis.scrape_alignment import MAX_REPLAY_S, max_age_s
from fairlead.rollout.ports import History
from fairlead.rollout.windows.freshness import set_back_problem
from fairlead.rollout.windows.source import RouteTick


@dataclass
class CustomTallies:
    """The custom gates of one route at one tick: what each counts since its last count."""

    history: History | None
    tick: RouteTick
    _until: dict[str, datetime] = field(default_factory=dict)
    _found: dict[str, dict[str, VersionSeries] | str] = field(default_factory=dict)

    def up_to(self, end: datetime) -> dict[str, CustomGateCounts]:
        """A tally for each custom gate that has a new count or a gap up to this moment."""
        if self.tick.head.table.candidate is None:
            return {}
        gates = [(at, gate) for at, gate in enumerate(self.tick.route.spec.strategy.gates) if is_custom(gate.name)]
        found = {gate.name: self._tally(gate, at, end) for at, gate in gates if gate.role != "off"}
        return {name: tally for name, tally in found.items() if tally is not None}

    def _tally(self, gate: GateSpec, index: int, end: datetime) -> CustomGateCounts | None:
        since = self._since(gate.name)
        if self.history is None:
            why = f"no Prometheus is configured, and strategy.gates.{index}.promql needs one"
            return CustomGateCounts(until=since, gap=why)
        if self.tick.freshness.until is None:
            return CustomGateCounts(until=since, gap=self.tick.freshness.problem)
        until = min(end, self.tick.freshness.until)
        if why := set_back_problem(since, self.tick.freshness.until):
            return CustomGateCounts(until=since, gap=why)
        if until <= since:
            return None
        if gate.name not in self._found:
            self._found[gate.name] = self._load(self.history, gate, since, self.tick.freshness.until)
        found = self._found[gate.name]
        if isinstance(found, str):
            return CustomGateCounts(until=since, gap=found)
        try:
            counts = {role: count(one, since, until, self.history.interval_s) for role, one in found.items()}
        except NotScrapedYet:
            return None
        except Gap as gap:
            self._until[gate.name] = until
            return CustomGateCounts(until=until, gap=str(gap))
        self._until[gate.name] = until
        if (gone := self._vanished(gate.name, found, until)) is not None:
            return CustomGateCounts(until=until, gap=f"{gone}'s metric is not scraped any more")
        return CustomGateCounts(
            until=until, arms=VersionCounts(candidate=counts["candidate"], stable=counts.get("stable", Counts()))
        )

    def _vanished(self, gate: str, found: dict[str, VersionSeries], until: datetime) -> VersionRef | None:
        """A version that was counted earlier in this attempt and of which no target is scraped now."""
        table, interval = self.tick.head.table, self.history.interval_s if self.history is not None else 0.0
        counted = [one.custom[gate].arms for one in self.tick.before if gate in one.custom]
        if table.candidate is not None and not is_scraped(found["candidate"], until, interval):
            return table.candidate if any(one.candidate.n for one in counted) else None
        if "stable" in found and not is_scraped(found["stable"], until, interval):
            return table.stable if any(one.stable.n for one in counted) else None
        return None

    def _since(self, gate: str) -> datetime:
        if gate not in self._until:
            recorded = (one.custom[gate].until for one in reversed(self.tick.before) if gate in one.custom)
            self._until[gate] = max(next(recorded, self.tick.period.since), self.tick.period.since)
        floor = (self.tick.freshness.until or self._until[gate]) - timedelta(seconds=MAX_REPLAY_S)
        return max(self._until[gate], floor)

    def _load(
        self, history: History, gate: GateSpec, since: datetime, until: datetime
    ) -> dict[str, VersionSeries] | str:
        """The series of both versions, or the reason why they could not be read."""
        start = since - timedelta(seconds=max_age_s(history.interval_s))
        table, found = self.tick.head.table, dict[str, VersionSeries]()
        try:
            for role, ref in self._arms(gate):
                values = _values(role, ref, table.namespace, table.model)
                bad, total = (history.series(fill(query, values), start, until) for query in _queries(gate))
                found[role] = VersionSeries(bad, total)
        except Unavailable as error:
            return error.message
        return found

    def _arms(self, gate: GateSpec) -> Iterator[tuple[str, VersionRef]]:
        table = self.tick.head.table
        if table.candidate is not None:
            yield "candidate", table.candidate
        if gate.limit is None:
            yield "stable", table.stable


def _queries(gate: GateSpec) -> tuple[str, str]:
    if gate.promql is None:
        raise ValueError(f"gate {gate.name} has no promql")  # the contract rejects such a gate
    return gate.promql.bad, gate.promql.total


def _values(role: str, ref: VersionRef, namespace: str, model: str) -> dict[str, str]:
    return {"model": model, "namespace": namespace, "version": ref.version, "identity": ref.identity, "role": role}
