"""All metrics of the telemetry contract."""

from __future__ import annotations

from fairlead.contracts import control_telemetry, telemetry
from fairlead.contracts import gateway_telemetry as gateway
from fairlead.contracts.outside_telemetry import OUTSIDE

OURS = (
    *telemetry.MODEL_SERVICE,
    *telemetry.MODEL_DRIFT,
    *telemetry.MODEL_VECTORS,
    *telemetry.MODEL_QUALITY,
    *telemetry.MODEL_FEEDBACK,
    *control_telemetry.CONTROL_PLANE,
)
DECLARED = (*OURS, *telemetry.PROCESS, *gateway.GATEWAY, *OUTSIDE)
