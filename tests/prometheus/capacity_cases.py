"""For each alert of autoscaling: series with which it fires, and series with which it must not."""

from __future__ import annotations

from fairlead.contracts import control_telemetry, telemetry
from fairlead.contracts import gateway_telemetry as gateway
from fairlead.contracts import outside_telemetry as outside
from monitoring.promql import series
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


def answered(a_minute: float) -> Inputs:
    """Requests that an instance of iris answers, as the gateway counts them."""
    cluster = {"envoy_cluster_name": "split~shop~iris~1_0_0", "envoy_endpoint_address": "10.0.0.1:8080"}
    return {series(gateway.GATEWAY_GOOD_TRIES, **cluster): rising(a_minute)}


def failed_readings(a_minute: float, name: str = "iris-82dbe2be8b") -> Inputs:
    labels = f'namespace="shop",scaledObject="{name}",scaler="prometheusScaler",triggerIndex="0",type="scaledobject"'
    return {**WANTED, f"{outside.KEDA_ERRORS.name}{{{labels}}}": rising(a_minute)}


CASES = (
    Case(
        "FairleadLoadNotMeasured",
        answered(600),
        {**answered(600), **gauge(telemetry.MODEL_IN_FLIGHT, 0, **VERSION)},
        20,
        "iris 1.0.0: it answers requests, and nothing measures its load for an autoscaler",
        VERSION,
    ),
    Case(
        "FairleadLoadNotMeasured",
        answered(600),
        answers("5", rising(600)),  # it has no instance, and the gateway refuses its requests
        20,
        "iris 1.0.0: it answers requests, and nothing measures its load for an autoscaler",
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
