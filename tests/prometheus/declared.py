"""All metrics of the telemetry contract."""

from __future__ import annotations

from fairlead.contracts import control_telemetry, drift_telemetry, telemetry
from fairlead.contracts import gateway_telemetry as gateway
from fairlead.contracts.outside_telemetry import OUTSIDE

OURS = (
    *telemetry.MODEL_SERVICE,
    *drift_telemetry.MODEL_DRIFT,
    *drift_telemetry.MODEL_VECTORS,
    *drift_telemetry.MODEL_QUALITY,
    *drift_telemetry.MODEL_FEEDBACK,
    *control_telemetry.CONTROL_PLANE,
)
DECLARED = (*OURS, *telemetry.PROCESS, *gateway.GATEWAY, *OUTSIDE)
