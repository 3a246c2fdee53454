"""Reads the counters of all gateways, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fairlead.contracts.gateway import GatewaySite
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from fairlead.rollout.analysis.side_by_side import SideBySide
from fairlead.rollout.ports import Reading


class FleetStats:
    """`ports.MetricSource` for every gateway that `sites` names: one reading for each that answered."""

    def __init__(
        self,
        sites: Callable[[], Sequence[GatewaySite]],
        *,
        connect: Callable[[GatewaySite], EnvoyStats] = lambda site: EnvoyStats(
            site.host, site.admin_port, name=site.name
        ),
    ) -> None:
        self._gateways = SideBySide(sites, connect, "counters")

    def read(self) -> Sequence[Reading]:
        """The readings, ordered by gateway name. A missing gateway makes the window a gap. Never raises."""
        return [reading for readings in self._gateways.ask(lambda one: one.read()).values() for reading in readings]

    def close(self) -> None:
        """Close every connection."""
        self._gateways.close()
