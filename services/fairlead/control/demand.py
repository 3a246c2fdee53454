"""Who uses which version, and who waits for one: `rollout.ports.Demand` from what gateways count and ask."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from fairlead.contracts.gateway import ClusterKey
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.control.holds import Holds


class Uses(Protocol):
    """What gateways count: `rollout.analysis.envoy_use.EnvoyUse` of one, `fleet_use.FleetUse` of many."""

    def requests(self) -> Mapping[ClusterKey, tuple[object, int]] | None: ...  # noqa: D102
    def unfound(self, table: Table) -> frozenset[VersionRef]: ...  # noqa: D102


class GatewayDemand:
    """`rollout.ports.Demand`."""

    def __init__(self, uses: Uses, holds: Holds) -> None:
        self._uses, self._holds = uses, holds

    def requests(self) -> Mapping[ClusterKey, tuple[object, int]] | None:
        """The gateways' own counters."""
        return self._uses.requests()

    def unfound(self, table: Table) -> frozenset[VersionRef]:
        """By the gateways' own counters."""
        return self._uses.unfound(table)

    def asked(self) -> Collection[tuple[str, VersionRef]]:
        """What gateways ask about."""
        return self._holds.asked()
