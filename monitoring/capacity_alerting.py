"""Alerts about autoscalers: one that does not know the load, one that cannot read it, and one at its maximum.

The first needs only the services and the gateways, so it also finds what KEDA itself does not report.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitoring.alert import MODEL_NAME, VERSION, Alert

if TYPE_CHECKING:
    from monitoring.recording import Records


def of_capacity(records: Records) -> Iterator[Alert]:
    """The alerts, in the order of the page docs/monitoring.md."""
    capacity = records.capacity
    yield Alert(
        "FairleadLoadNotMeasured",
        "ticket",
        "10m",
        f"{MODEL_NAME} {VERSION}: it answers requests, and nothing measures its load for an autoscaler",
        f"{records.good_tries} > {records.settings.least_rate:g} unless {records.scaling_in_flight}",
    )
    yield Alert(
        "FairleadAutoscalerFallback",
        "ticket",
        "5m",
        f"{MODEL_NAME} {VERSION}: KEDA cannot read the load, and keeps the instances",
        f"{capacity.faulty} > 0",
    )
    yield Alert(
        "FairleadAutoscalerAtMaximum",
        "ticket",
        "30m",
        f"{MODEL_NAME} {VERSION}: the autoscaler wants its most, {{{{ $value }}}} instances",
        f"{capacity.desired} >= {capacity.most} > {capacity.least}",
    )
