"""The values of a model with an autoscaler."""

from __future__ import annotations

from typing import Any

from charts.sample import with_workload

PROMETHEUS = {"serverAddress": "http://prometheus.monitoring:9090"}
KEDA: dict[str, Any] = {"kind": "keda", "prometheus": PROMETHEUS}
EVERY_TARGET = {"inFlight": 8, "requestsPerSecond": 40.5, "queue": "100ms", "p95": "1s500ms"}


def scaled(**autoscaling: Any) -> dict[str, Any]:
    """IRIS with KEDA and these values of its autoscaler."""
    return with_workload(autoscaling={**KEDA, **autoscaling})
