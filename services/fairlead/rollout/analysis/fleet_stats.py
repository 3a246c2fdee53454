"""Reads the counters of all gateways, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from fairlead.contracts.gateway import GatewaySite
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from fairlead.rollout.ports import Reading

MAX_THREADS = 8


class FleetStats:
    """`ports.MetricSource` for every gateway that `sites` names: one reading for each that answered.

    Gateways are read side by side, so one that hangs costs its timeout only once. Not for several threads at once.
    """

    def __init__(
        self,
        sites: Callable[[], Sequence[GatewaySite]],
        *,
        connect: Callable[[GatewaySite], EnvoyStats] = lambda site: EnvoyStats(
            site.host, site.admin_port, name=site.name
        ),
    ) -> None:
        self._sites, self._connect = sites, connect
        self._known: dict[GatewaySite, EnvoyStats] = {}
        self._pool = ThreadPoolExecutor(max_workers=MAX_THREADS, thread_name_prefix="counters")

    def read(self) -> Sequence[Reading]:
        """The readings, ordered by gateway name. A missing gateway makes the window a gap. Never raises."""
        sites = sorted(self._sites())
        for gone in self._known.keys() - set(sites):
            self._known.pop(gone).close()
        for site in sites:
            self._known.setdefault(site, self._connect(site))
        found = self._pool.map(lambda site: self._known[site].read(), sites)
        return [reading for readings in found for reading in readings]

    def close(self) -> None:
        """Close every connection."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        for stats in self._known.values():
            stats.close()
