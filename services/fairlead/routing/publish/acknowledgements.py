"""Derives from Envoy's counters whether a gateway acknowledged an update, rejected it, or has not read it yet.

Envoy does not report which version it rejected. But it reads every update once and counts it. So when it has read as
many updates as were published and does not use the last one, it rejected the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from fairlead.routing.publish.admin import Sample
from fairlead.routing.publish.resource_sets import KINDS, Kind, Update
from fairlead.routing.publish.update_order import GatewayReport, Rejection

ATTRIBUTE_AFTER_S = 1.0
"""When updates cannot be counted (after a restart), a new rejection counts for the last update if the gateway has not
used that update for this long."""


@dataclass(frozen=True, slots=True)
class _Baseline:
    """The counters when the gateway last used what was published, and how many updates were published since."""

    connection: int = 0
    handled: int = 0
    rejected: int = 0
    updates: int = 0
    pending_since: float | None = None


class AckTracker:
    """Tracks one gateway's acknowledgements, per kind of resource. `reason` returns the text for a rejection.

    `over_http` is for a gateway that polls the control plane: what it rejected before its first sample was an older
    response and does not count. A file that was rejected before the first sample is still there, and still rejected.
    """

    def __init__(self, name: str, reason: Callable[[], str | None], *, over_http: bool = False) -> None:
        self._name = name
        self._reason = reason
        self._over_http = over_http
        self._baselines: dict[Kind, _Baseline] = dict.fromkeys(KINDS, _Baseline())

    def record_update(self, kind: Kind) -> None:
        """Count one published update. Call it for every update."""
        before = self._baselines[kind]
        self._baselines[kind] = replace(before, updates=before.updates + 1, pending_since=None)

    def report(self, sample: Sample | None, published: Mapping[Kind, Update], now: float) -> GatewayReport:
        """Interpret a sample, given what is published. None is a gateway that did not answer."""
        if sample is None:
            return GatewayReport(self._name, reachable=False)
        rejected = {
            kind: Rejection(update.version, self._reason() or "its log says why")
            for kind, update in published.items()
            if self._rejects(kind, update, sample, now)
        }
        return GatewayReport(self._name, True, sample.versions, rejected, sample.warming)

    def _rejects(self, kind: Kind, update: Update, sample: Sample, now: float) -> bool:
        if sample.versions.get(kind) == update.version:
            self._baselines[kind] = _Baseline(sample.connection, sample.handled[kind], sample.rejected[kind])
            return False
        before = self._baselines[kind]
        if before.pending_since is None:
            before = replace(before, pending_since=now)
        if self._has_restarted(before, kind, sample):
            handled, rejected = self._first_counters(before, kind, sample)
            updates = before.updates if self._over_http else 0
            before = replace(before, connection=sample.connection, handled=handled, rejected=rejected, updates=updates)
        self._baselines[kind] = before
        if sample.rejected[kind] <= before.rejected:
            return False
        counted = 0 < before.updates <= sample.handled[kind] - before.handled
        return counted or now - (before.pending_since or now) >= ATTRIBUTE_AFTER_S

    def _has_restarted(self, before: _Baseline, kind: Kind, sample: Sample) -> bool:
        if self._over_http and before.connection:
            # A new connection alone may lead to the same process, whose recent rejection still counts.
            return sample.handled[kind] < before.handled or sample.rejected[kind] < before.rejected
        return before.connection != sample.connection

    def _first_counters(self, before: _Baseline, kind: Kind, sample: Sample) -> tuple[int, int]:
        if self._over_http and not before.connection and kind in sample.versions:
            return sample.handled[kind], sample.rejected[kind]
        return 0, 0
