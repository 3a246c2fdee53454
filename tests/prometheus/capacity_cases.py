"""For each alert of autoscaling: series with which it fires, and series with which it must not."""

from __future__ import annotations

from fairlead.contracts import control_telemetry, telemetry
from fairlead.contracts import outside_telemetry as outside
from prometheus.cases import IRIS, Case, Inputs, answers, gauge, rising

VERSION = {**IRIS, "version": "1.0.0"}
NAMED = {"namespace": "shop", "horizontalpodautoscaler": "iris-82dbe2be8b"}
WANTED = gauge(control_telemetry.CONTROL_WANTED, 1, **VERSION, identity="82dbe2be8b")


def autoscaler(desired: float, least: float = 1) -> Inputs:
    return {
        **WANTED,
        **gauge(outside.AUTOSCALER_DESIRED, desired, **NAMED),
        **gauge(outside.AUTOSCALER_LEAST, least, **NAMED),
        **gauge(outside.AUTOSCALER_MOST, 4, **NAMED),
    }


def failed_readings(a_minute: float, name: str = "iris-82dbe2be8b") -> Inputs:
    labels = f'namespace="shop",scaledObject="{name}",scaler="prometheusScaler",triggerIndex="0",type="scaledobject"'
    return {**WANTED, f"{outside.KEDA_ERRORS.name}{{{labels}}}": rising(a_minute)}


CASES = (
    Case(
        "FairleadLoadNotMeasured",
        answers("2", rising(600)),
        {**answers("2", rising(600)), **gauge(telemetry.MODEL_IN_FLIGHT, 0, **VERSION)},
        20,
        "iris 1.0.0: it gets requests, and nothing measures its load for an autoscaler",
        VERSION,
    ),
    Case(
        "FairleadAutoscalerFallback",
        failed_readings(4),
        {**failed_readings(4, "another"), **failed_readings(0)},  # another program's, and ours without a fault
        15,
        "iris 1.0.0: KEDA cannot read the load, and keeps the instances",
        VERSION,
    ),
    Case(
        "FairleadAutoscalerAtMaximum",
        autoscaler(4),
        autoscaler(4, least=4),  # it is meant to have four, always
        40,
        "iris 1.0.0: the autoscaler wants its most, 4 instances",
        VERSION,
    ),
)
