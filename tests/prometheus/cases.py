"""What a case of an alert is, and how the series of its inputs are written. One value a minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fairlead.contracts import gateway_telemetry as gateway
from fairlead.contracts.telemetry import Metric
from monitoring.promql import series

Inputs = Mapping[str, str]
"""Series, and their values in promtool's notation: `0+5x60` is 0, 5, ... 300."""
IRIS = {"namespace": "shop", "model": "iris"}
HOUR = 60


@dataclass(frozen=True)
class Case:
    """`at` is in minutes. `labels` and `summary` are those of the alert that fires."""

    alert: str
    fires: Inputs
    silent: Inputs
    at: int
    summary: str
    labels: Mapping[str, str] = field(default_factory=lambda: IRIS)


def steady(value: float) -> str:
    return f"{value:g}+0x{2 * HOUR}"


def rising(per_minute: float, minutes: int = 2 * HOUR) -> str:
    return f"0+{per_minute:g}x{minutes}"


def gauge(metric: Metric, value: float, **labels: str) -> Inputs:
    return {series(metric, **labels): steady(value)}


def answers(status: str, values: str, version: str = "1_0_0", role: str = "split") -> Inputs:
    """Users' requests to iris as the gateway counts them."""
    where = {"fairlead_namespace": "shop", "fairlead_model": "iris", "fairlead_version": version}
    return {
        series(gateway.GATEWAY_CLASSES, fairlead_role=role, envoy_response_code_class=status, **where): values,
    }
