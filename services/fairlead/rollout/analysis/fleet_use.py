"""Reads how much the clusters of all gateways are used, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fairlead.contracts.gateway import ClusterKey, GatewaySite, Role, key_of
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.rollout.analysis.envoy_use import EnvoyUse, Use
from fairlead.rollout.analysis.side_by_side import SideBySide


class FleetUse:
    """The part of `ports.Demand` that reads every gateway that `sites` names. Not for several threads at once."""

    def __init__(
        self,
        sites: Callable[[], Sequence[GatewaySite]],
        *,
        connect: Callable[[GatewaySite], EnvoyUse] = lambda site: EnvoyUse(site.host, site.admin_port),
    ) -> None:
        self._gateways = SideBySide(sites, connect, "use")
        self._answered: Sequence[Mapping[ClusterKey, Use]] = ()

    def requests(self) -> Mapping[ClusterKey, tuple[object, int]] | None:
        """For each cluster, the number of requests of each gateway, and how many are open in all of them.

        None if a gateway did not answer, or if there is none.
        """
        found = self._gateways.ask(lambda one: one.read())
        answered = {site: use for site, use in found.items() if use is not None}
        self._answered = tuple(use for use in answered.values() if use)  # one that has only just started sends nothing
        if not found or len(answered) < len(found):
            return None
        keys = {key for use in self._answered for key in use}
        return {
            key: (
                tuple((site, use[key].total) for site, use in answered.items() if key in use),
                sum(use[key].open for use in self._answered if key in use),
            )
            for key in keys
        }

    def unfound(self, table: Table) -> frozenset[VersionRef]:
        """The cold versions of the table of which a gateway, when it last answered, had found no instance by DNS."""
        return frozenset(ref for ref in table.cold if not self._is_found(table, ref))

    def _is_found(self, table: Table, ref: VersionRef) -> bool:
        roles = (Role.DIRECT, Role.SPLIT) if ref == table.stable else (Role.DIRECT,)
        keys = [key_of(role, table, ref) for role in roles]
        return bool(self._answered) and all(use.get(key, Use()).hosts for use in self._answered for key in keys)

    def close(self) -> None:
        """Close every connection."""
        self._gateways.close()
