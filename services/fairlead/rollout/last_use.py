"""Since when nobody has used a version: the time since a gateway last counted a request for it, or had one open."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fairlead.contracts.gateway import ClusterKey, Role, key_of
from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.table import Table
from fairlead.rollout.policy.cold import may_be_cold
from fairlead.rollout.ports import Demand

READ_INTERVAL_S = 0.5
"""How often the gateways' counters are read, where a version may become cold."""


class LastUse:
    """Keeps when each cluster was last used, in memory: after a restart every version counts as used just now."""

    def __init__(self, demand: Demand, monotonic: Callable[[], float]) -> None:
        self._demand = demand
        self._monotonic = monotonic
        self._began = self._read_at = monotonic()
        self._next = self._began
        self._totals: dict[ClusterKey, object] = {}
        self._used_at: dict[ClusterKey, float] = {}

    def asked(self, route: str) -> frozenset[VersionRef]:
        """The versions of a route that requests wait for."""
        return frozenset(ref for name, ref in self._demand.asked() if name == route)

    def idle_s(self, route: Route, table: Table, asked: frozenset[VersionRef]) -> Mapping[VersionRef, float]:
        """How long each version that is or may be cold was not used, up to the last reading. Empty if there is none."""
        refs = [ref for ref in table.pins if ref in table.cold or may_be_cold(route, ref)]
        if not refs:
            return {}
        self._read()
        for ref in refs:
            key = key_of(Role.SPLIT, table, ref)
            if ref in asked or key not in self._used_at:  # one that is seen for the first time is as good as used now
                self._used_at[key] = self._monotonic()
        return {ref: self._read_at - max(map(self._last, _keys(table, ref))) for ref in refs}

    def unfound(self, table: Table) -> frozenset[VersionRef]:
        """The cold versions whose instances, ready or not, some gateway had not found at the last reading."""
        return self._demand.unfound(table) if table.cold else frozenset()

    def _last(self, key: ClusterKey) -> float:
        return max(self._began, self._used_at.get(key, self._began))

    def _read(self) -> None:
        now = self._monotonic()
        if now < self._next:
            return
        self._next = now + READ_INTERVAL_S
        found = self._demand.requests()
        if found is None:
            self._began = self._read_at = now  # anything may have happened meanwhile
            return
        self._read_at = now
        for key, (total, is_open) in found.items():
            # A lower number is that of a gateway that was restarted.
            if is_open or total != self._totals.get(key, 0):
                self._used_at[key] = now
            self._totals[key] = total


def _keys(table: Table, ref: VersionRef) -> list[ClusterKey]:
    return [key_of(role, table, ref) for role in Role]
