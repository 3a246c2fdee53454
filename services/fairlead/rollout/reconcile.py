"""One tick of the engine: observe, decide, act, report, for every route. No I/O of its own.

Level-triggered: nothing is remembered between two ticks but the last raw counters, so a tick may be skipped,
repeated or killed anywhere.
"""

from __future__ import annotations

from collections.abc import Callable

from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route
from fairlead.rollout.ports import Clock, EngineStore, Gateways, MetricSource, Smoke


class Engine:
    """The rollout engine. One per control plane; not for several threads at once."""

    def __init__(
        self,
        store: EngineStore,
        *,
        gateways: Gateways,
        metrics: MetricSource,
        smoke: Smoke,
        clock: Clock,
        log: Callable[[str], None],
        window_s: float = 5.0,
    ) -> None:
        """`log` gets one line of JSON per appended revision: the archive."""
        self._store = store
        self._gateways = gateways
        self._metrics = metrics
        self._smoke = smoke
        self._clock = clock
        self._log = log
        self._window_s = window_s

    def tick(self) -> list[Revision]:
        """Reconcile every route, then say which instances should run. Returns the revisions that were appended."""
        raise NotImplementedError

    def reconcile(self, route: Route) -> list[Revision]:
        """Bring one route forward as far as it can go now. A Conflict is left to the next tick."""
        raise NotImplementedError
