"""Custom gates: what each counted of the user's own metrics since it was last counted, whatever made the window.

Up to when a gate has counted is read from the ledger; a gap of its own stops nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fairlead.contracts.gates import GateSpec, is_custom
from fairlead.contracts.promql import fill
from fairlead.contracts.revision import Arms, Counts, Tally
from fairlead.contracts.route import VersionRef
from fairlead.errors import Unavailable
from fairlead.rollout.analysis.counts import Gap
from fairlead.rollout.analysis.custom_counts import Asked as AskedFor
from fairlead.rollout.analysis.custom_counts import NotYet, count
from fairlead.rollout.analysis.scrape_alignment import REPLAYED_S, keep_s
from fairlead.rollout.ports import History
from fairlead.rollout.windows.freshness import set_back
from fairlead.rollout.windows.source import Asked


@dataclass
class Tallies:
    """The custom gates of one route at one look: what each counted since it was last counted."""

    history: History | None
    asked: Asked
    _until: dict[str, datetime] = field(default_factory=dict)
    _found: dict[str, dict[str, AskedFor] | str] = field(default_factory=dict)

    def up_to(self, end: datetime) -> dict[str, Tally]:
        """One for each custom gate that has something to say at this moment."""
        if self.asked.head.table.candidate is None:
            return {}
        gates = [(at, gate) for at, gate in enumerate(self.asked.route.spec.strategy.gates) if is_custom(gate.name)]
        found = {gate.name: self._tally(gate, at, end) for at, gate in gates if gate.role != "off"}
        return {name: tally for name, tally in found.items() if tally is not None}

    def _tally(self, gate: GateSpec, index: int, end: datetime) -> Tally | None:
        since = self._since(gate.name)
        if self.history is None:
            why = f"no Prometheus is configured, and strategy.gates.{index}.promql needs one"
            return Tally(until=since, gap=why)
        if self.asked.settled.until is None:
            return Tally(until=since, gap=self.asked.settled.problem)
        until = min(end, self.asked.settled.until)
        if why := set_back(since, self.asked.settled.until):
            return Tally(until=since, gap=why)
        if until <= since:
            return None
        if gate.name not in self._found:
            self._found[gate.name] = self._ask(self.history, gate, since, self.asked.settled.until)
        found = self._found[gate.name]
        if isinstance(found, str):
            return Tally(until=since, gap=found)
        try:
            counts = {role: count(one, since, until, self.history.interval_s) for role, one in found.items()}
        except NotYet:
            return None
        except Gap as gap:
            self._until[gate.name] = until
            return Tally(until=until, gap=str(gap))
        self._until[gate.name] = until
        return Tally(until=until, arms=Arms(candidate=counts["candidate"], stable=counts.get("stable", Counts())))

    def _since(self, gate: str) -> datetime:
        if gate not in self._until:
            told = (one.custom[gate].until for one in reversed(self.asked.before) if gate in one.custom)
            self._until[gate] = max(next(told, self.asked.stretch.since), self.asked.stretch.since)
        floor = (self.asked.settled.until or self._until[gate]) - timedelta(seconds=REPLAYED_S)
        return max(self._until[gate], floor)

    def _ask(self, history: History, gate: GateSpec, since: datetime, until: datetime) -> dict[str, AskedFor] | str:
        """The series of both versions, or why there are none."""
        start = since - timedelta(seconds=keep_s(history.interval_s))
        table, found = self.asked.head.table, dict[str, AskedFor]()
        try:
            for role, ref in self._arms(gate):
                values = _values(role, ref, table.namespace, table.model)
                bad, total = (history.series(fill(query, values), start, until) for query in _queries(gate))
                found[role] = AskedFor(bad, total)
        except Unavailable as error:
            return error.message
        return found

    def _arms(self, gate: GateSpec) -> Iterator[tuple[str, VersionRef]]:
        table = self.asked.head.table
        if table.candidate is not None:
            yield "candidate", table.candidate
        if gate.limit is None:
            yield "stable", table.stable


def _queries(gate: GateSpec) -> tuple[str, str]:
    if gate.promql is None:
        raise ValueError(f"gate {gate.name} has no promql")  # the contract refuses such a gate
    return gate.promql.bad, gate.promql.total


def _values(role: str, ref: VersionRef, namespace: str, model: str) -> dict[str, str]:
    return {"model": model, "namespace": namespace, "version": ref.version, "identity": ref.identity, "role": role}
