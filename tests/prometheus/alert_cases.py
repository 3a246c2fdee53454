"""For each alert: series with which it fires, and series with which it must not. One value a minute."""

from __future__ import annotations

from fairlead.contracts import control_telemetry, telemetry
from fairlead.contracts import gateway_telemetry as gateway
from fairlead.contracts.telemetry import Metric
from monitoring.promql import series
from prometheus import capacity_cases, drift_cases, quality_cases
from prometheus.cases import HOUR, IRIS, Case, Inputs, answers, gauge, rising, steady


def latency(per_minute_within: int, per_minute: int) -> Inputs:
    """So many answers a minute within 1024 ms, of so many."""
    where = {"fairlead_namespace": "shop", "fairlead_model": "iris", "fairlead_version": "1_0_0"}
    return {
        series(gateway.GATEWAY_TIME, "_bucket", fairlead_role="split", le=bound, **where): rising(number)
        for bound, number in (("1024", per_minute_within), ("+Inf", per_minute))
    }


def condition(kind: str, reason: str, value: float) -> Inputs:
    return gauge(control_telemetry.CONTROL_CONDITION, value, condition=kind, reason=reason, **IRIS)


def of_gateway(metric: Metric, value: float) -> Inputs:
    return gauge(metric, value, namespace="shop", gateway="edge-1")


def quota(used: float) -> Inputs:
    """A client that has used so many of 100 requests a day."""
    where = {"namespace": "models", "client": "shop", "period": "day"}
    return {
        **gauge(control_telemetry.CONTROL_CLIENT_USED, used, **where),
        **gauge(control_telemetry.CONTROL_CLIENT_QUOTA, 100, **where),
    }


def rejected(reason: str, per_minute: float) -> Inputs:
    where = {**IRIS, "version": "1.0.0"}
    return {
        series(telemetry.MODEL_REJECTED, reason=reason, **where): rising(per_minute),
        series(telemetry.MODEL_REQUESTS, protocol="v2", code="200", **where): rising(100),
    }


def phase(name: str) -> Inputs:
    return gauge(telemetry.MODEL_PHASE, 1, version="1.0.0", phase=name, instance="a", **IRIS)


def candidate(weight: float) -> Inputs:
    return gauge(control_telemetry.CONTROL_WEIGHT, weight, version="1.1.0", role="candidate", **IRIS)


CASES = (
    Case(
        "FairleadModelDown",
        gauge(control_telemetry.CONTROL_DOWN, 1, **IRIS),
        gauge(control_telemetry.CONTROL_DOWN, 0, **IRIS),
        5,
        "iris: the stable version does not serve, and users get errors",
    ),
    Case(
        "FairleadErrorBudgetBurnsFast",
        {**answers("2", rising(95)), **answers("5", rising(5))},
        # Three bad minutes, an hour ago.
        {**answers("2", rising(100)), **answers("5", "0x20 30x100")},
        90,
        "iris: 5% of the requests fail; the objective allows 0.1%",
    ),
    Case(
        "FairleadErrorBudgetBurnsSlowly",
        {**answers("2", rising(1992, 4 * HOUR)), **answers("5", rising(8, 4 * HOUR))},
        {**answers("2", rising(1999, 4 * HOUR)), **answers("5", rising(1, 4 * HOUR))},
        3 * HOUR,
        "iris: 0.4% of the requests fail; the objective allows 0.1%",
    ),
    Case(
        "FairleadAnswersSlow",
        latency(90, 100),
        latency(100, 100),
        30,
        "iris: 10% of the answers take longer than 1024 ms",
    ),
    Case(
        "FairleadNoTraffic",
        answers("2", "0+60x30 1800+0x90"),
        answers("2", "0x29 1+0x90"),  # one request an hour
        55,
        "iris: no request for ten minutes; within the last hour there was more than one a minute",
    ),
    Case(
        "FairleadDegraded",
        gauge(control_telemetry.CONTROL_DEGRADED, 1, **IRIS),
        gauge(control_telemetry.CONTROL_DEGRADED, 0, **IRIS),
        15,
        "iris: fewer instances are ready than it needs",
    ),
    Case(
        "FairleadQueueFull",
        rejected("queue_full", 5),
        rejected("disconnected", 5),
        15,
        "iris 1.0.0: 5% of the requests are refused because the queue is too long",
        {**IRIS, "version": "1.0.0"},
    ),
    Case(
        "FairleadInstanceFailed",
        phase("hanging"),
        phase("warming"),
        5,
        "iris 1.0.0: an instance is hanging",
        {**IRIS, "version": "1.0.0", "phase": "hanging"},
    ),
    *capacity_cases.CASES,
    Case(
        "FairleadRolloutStuck",
        condition("Progressing", "Waiting", 0),
        condition("Progressing", "AtRest", 0),
        70,
        "iris: a gate has stopped the rollout for an hour",
    ),
    Case(
        "FairleadRolloutAwaitsApproval",
        condition("Progressing", "AwaitingApproval", 0),
        condition("Progressing", "RollingOut", 1),
        70,
        "iris: the rollout waits for an approval, or for breaking types to be accepted",
    ),
    Case(
        "FairleadRolloutNotCounted",
        {**condition("Counted", "Gap", 0), **gauge(control_telemetry.CONTROL_STEP, 1, **IRIS)},
        condition("Counted", "Gap", 0),  # no rollout
        10,
        "iris: the rollout has no evidence, because requests cannot be counted",
    ),
    Case(
        "FairleadCandidateNoTraffic",
        {**candidate(1000), **answers("2", rising(600))},
        {**candidate(1000), **answers("2", rising(600)), **answers("2", rising(60), "1_1_0", "aggregate")},
        20,
        "iris 1.1.0: the candidate has weight and gets no requests",
        {**IRIS, "version": "1.1.0"},
    ),
    Case(
        "FairleadTargetRejected",
        condition("TargetAccepted", "Rejected", 0),
        condition("TargetAccepted", "RolledBack", 0),  # a person did it, and knows
        2,
        "iris: the release was rejected, and the version before it serves",
    ),
    *drift_cases.CASES,
    *quality_cases.CASES,
    Case(
        "FairleadGatewayDown",
        of_gateway(control_telemetry.CONTROL_GATEWAY_UP, 0),
        of_gateway(control_telemetry.CONTROL_GATEWAY_UP, 1),
        5,
        "the gateway edge-1 does not answer",
        {"namespace": "shop", "gateway": "edge-1"},
    ),
    Case(
        "FairleadGatewayRefusesConfiguration",
        of_gateway(control_telemetry.CONTROL_GATEWAY_REFUSES, 1),
        of_gateway(control_telemetry.CONTROL_GATEWAY_REFUSES, 0),
        5,
        "the gateway edge-1 rejects its configuration and serves an older one",
        {"namespace": "shop", "gateway": "edge-1"},
    ),
    Case(
        "FairleadGatewayBehind",
        condition("Programmed", "Behind", 0),
        condition("Programmed", "Acknowledged", 1),
        10,
        "iris: a gateway does not serve the newest revision",
    ),
    Case(
        "FairleadGatewayShedsLoad",
        gauge(gateway.GATEWAY_SHEDS, 1, namespace="shop", instance="10.0.0.7:9901"),
        gauge(gateway.GATEWAY_SHEDS, 0, namespace="shop", instance="10.0.0.7:9901"),
        5,
        "the gateway 10.0.0.7:9901 is short of memory and answers 503",
        {"namespace": "shop", "instance": "10.0.0.7:9901"},
    ),
    Case(
        "FairleadQuotaNearlyUsed",
        quota(91),
        quota(90),
        5,
        "the client shop has used 91% of its quota of this day",
        {"namespace": "models", "client": "shop", "period": "day"},
    ),
    Case(
        "FairleadNoLeader",
        gauge(control_telemetry.CONTROL_LEADER, 0, namespace="shop", instance="a"),
        {
            **gauge(control_telemetry.CONTROL_LEADER, 0, namespace="shop", instance="a"),
            **gauge(control_telemetry.CONTROL_LEADER, 1, namespace="shop", instance="b"),
        },
        5,
        "no control plane leads: models serve, but nothing rolls forward or back",
        {"namespace": "shop"},
    ),
    Case(
        "FairleadNoLeader",
        {},  # nothing is scraped
        gauge(control_telemetry.CONTROL_LEADER, 1, namespace="shop", instance="a"),
        5,
        "no control plane leads: models serve, but nothing rolls forward or back",
        {},
    ),
    Case(
        "FairleadEngineStopped",
        {series(control_telemetry.CONTROL_RECONCILE_SECONDS, "_count", namespace="shop"): "0+60x10 600+0x60"},
        {series(control_telemetry.CONTROL_RECONCILE_SECONDS, "_count", namespace="shop"): rising(60)},
        25,
        "the leading control plane no longer decides: nothing rolls forward or back",
        {"namespace": "shop"},
    ),
    Case(
        "FairleadPublicationRefused",
        gauge(control_telemetry.CONTROL_REFUSED, 1, namespace="shop"),
        gauge(control_telemetry.CONTROL_REFUSED, 0, namespace="shop"),
        5,
        "an update is held back because it would remove all routes",
        {"namespace": "shop"},
    ),
    Case(
        "FairleadTargetDown",
        {'up{namespace="shop",instance="10.0.0.9:8080",fairlead_process="model"}': steady(0)},
        {'up{namespace="shop",instance="10.0.0.9:8080",job="another"}': steady(0)},
        10,
        "model 10.0.0.9:8080 cannot be scraped",
        {"namespace": "shop", "instance": "10.0.0.9:8080", "fairlead_process": "model"},
    ),
)
