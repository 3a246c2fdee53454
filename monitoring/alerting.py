"""The alerts. Each one has a page of the same name in runbooks/.

`page` wakes somebody: users get errors, or nobody would notice a fault. `ticket` is for working hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from fairlead.contracts import control_telemetry, telemetry
from fairlead.contracts import gateway_telemetry as gateway
from monitoring.alert import MODEL_NAME, PERCENT, VERSION, Alert
from monitoring.capacity_alerting import of_capacity
from monitoring.drift_alerting import of_drift
from monitoring.promql import IDENTITY, largest, rate, series, total
from monitoring.quality_alerting import of_quality
from monitoring.recording import MODEL, Records, failures
from monitoring.settings import Settings


def alerts(records: Records) -> tuple[Alert, ...]:
    """All alerts, in the order of the page docs/monitoring.md."""
    return (
        *_of_users(records),
        *_of_load(records),
        *of_capacity(records),
        *_of_rollouts(records),
        *of_drift(records),
        *of_quality(records),
        *_of_gateways(),
        *_of_clients(records.settings),
        *_of_control_plane(records),
    )


def _of_users(records: Records) -> Iterator[Alert]:
    settings, every = records.settings, total(records.requests, *MODEL)
    yield Alert(
        "FairleadModelDown",
        "page",
        "1m",
        f"{MODEL_NAME}: the stable version does not serve, and users get errors",
        f"{largest(series(control_telemetry.CONTROL_DOWN), *MODEL)} == 1",
    )
    for severity, burns in groupby(settings.burns, key=lambda burn: burn.severity):
        parts = [
            f"({records.burnt[one.long]} > {one.factor * settings.budget:g} and "
            f"{records.burnt[one.short]} > {one.factor * settings.budget:g} and "
            f"({failures(one.long)}) >= {settings.least_failures})"
            for one in burns
        ]
        yield Alert(
            "FairleadErrorBudgetBurnsFast" if severity == "page" else "FairleadErrorBudgetBurnsSlowly",
            "page" if severity == "page" else "ticket",
            "2m",
            f"{MODEL_NAME}: {PERCENT} of the requests fail; the objective allows {settings.budget * 100:g}%",
            " or ".join(parts),
        )
    yield Alert(
        "FairleadAnswersSlow",
        "ticket",
        "10m",
        f"{MODEL_NAME}: {PERCENT} of the answers take longer than {settings.slow_ms} ms",
        f"{records.slow} > {settings.slow_share:g}",
    )
    yield Alert(
        "FairleadNoTraffic",
        "ticket",
        "10m",
        f"{MODEL_NAME}: no request for ten minutes; within the last hour there was more than one a minute",
        f"{every} == 0 and avg_over_time({_sampled(every, settings)}) > {settings.least_usual:.4f}",
    )


def _of_load(records: Records) -> Iterator[Alert]:
    settings = records.settings
    yield Alert(
        "FairleadDegraded",
        "ticket",
        "10m",
        f"{MODEL_NAME}: fewer instances are ready than it needs",
        f"{largest(series(control_telemetry.CONTROL_DEGRADED), *MODEL)} == 1",
    )
    yield Alert(
        "FairleadQueueFull",
        "ticket",
        "5m",
        f"{MODEL_NAME} {VERSION}: {PERCENT} of the requests are refused because the queue is too long",
        f"{records.refused} > {settings.rejected_share:g}",
    )
    yield Alert(
        "FairleadInstanceFailed",
        "ticket",
        "2m",
        f"{MODEL_NAME} {VERSION}: an instance is {{{{ $labels.phase }}}}",
        f"{largest(series(telemetry.MODEL_PHASE, phase='~hanging|failed'), *IDENTITY, 'phase')} == 1",
    )


def _of_rollouts(records: Records) -> Iterator[Alert]:
    condition = control_telemetry.CONTROL_CONDITION
    rollout = largest(series(control_telemetry.CONTROL_STEP), *MODEL)

    def stops(reason: str) -> str:
        found = series(condition, condition="Progressing", reason=reason)
        return f"{largest(found, *MODEL)} == 0"

    yield Alert(
        "FairleadRolloutStuck",
        "ticket",
        "1h",
        f"{MODEL_NAME}: a gate has stopped the rollout for an hour",
        stops("Waiting"),
    )
    yield Alert(
        "FairleadRolloutAwaitsApproval",
        "info",
        "1h",
        f"{MODEL_NAME}: the rollout waits for an approval, or for breaking types to be accepted",
        stops("~AwaitingApproval|BreakingTypes"),
    )
    yield Alert(
        "FairleadRolloutNotCounted",
        "ticket",
        "5m",
        f"{MODEL_NAME}: the rollout has no evidence, because requests cannot be counted",
        f"{largest(series(condition, condition='Counted'), *MODEL)} == 0 and {rollout}",
    )
    weight = f'max by (namespace, model, version) ({records.weight}{{role="candidate"}})'
    due = f"{weight} * on (namespace, model) group_left () {total(records.requests, *MODEL)}"
    yield Alert(
        "FairleadCandidateNoTraffic",
        "ticket",
        "10m",
        f"{MODEL_NAME} {VERSION}: the candidate has weight and gets no requests",
        f"{due} > {records.settings.least_rate:g} unless {records.requests} > 0",
    )
    yield Alert(
        "FairleadTargetRejected",
        "ticket",
        "0m",
        f"{MODEL_NAME}: the release was rejected, and the version before it serves",
        f"{largest(series(condition, condition='TargetAccepted', reason='Rejected'), *MODEL)} == 0",
    )


def _of_gateways() -> Iterator[Alert]:
    name = "{{ $labels.gateway }}"
    yield Alert(
        "FairleadGatewayDown",
        "ticket",
        "2m",
        f"the gateway {name} does not answer",
        f"{largest(series(control_telemetry.CONTROL_GATEWAY_UP), 'namespace', 'gateway')} == 0",
    )
    yield Alert(
        "FairleadGatewayRefusesConfiguration",
        "page",
        "2m",
        f"the gateway {name} rejects its configuration and serves an older one",
        f"{largest(series(control_telemetry.CONTROL_GATEWAY_REFUSES), 'namespace', 'gateway')} == 1",
    )
    yield Alert(
        "FairleadGatewayBehind",
        "ticket",
        "5m",
        f"{MODEL_NAME}: a gateway does not serve the newest revision",
        f"{largest(series(control_telemetry.CONTROL_CONDITION, condition='Programmed'), *MODEL)} == 0",
    )
    yield Alert(
        "FairleadGatewayShedsLoad",
        "page",
        "1m",
        "the gateway {{ $labels.instance }} is short of memory and answers 503",
        f"{largest(series(gateway.GATEWAY_SHEDS), 'namespace', 'instance')} == 1",
    )


def _of_clients(settings: Settings) -> Iterator[Alert]:
    client = ("namespace", "client", "period")
    used, quota = (
        largest(series(metric), *client)
        for metric in (control_telemetry.CONTROL_CLIENT_USED, control_telemetry.CONTROL_CLIENT_QUOTA)
    )
    yield Alert(
        "FairleadQuotaNearlyUsed",
        "ticket",
        "1m",
        f"the client {{{{ $labels.client }}}} has used {PERCENT} of its quota of this {{{{ $labels.period }}}}",
        f"{used} / {quota} > {settings.quota_share:g}",
    )


def _of_control_plane(records: Records) -> Iterator[Alert]:
    leader = control_telemetry.CONTROL_LEADER
    yield Alert(
        "FairleadNoLeader",
        "page",
        "2m",
        "no control plane leads: models serve, but nothing rolls forward or back",
        f"{largest(series(leader), 'namespace')} == 0 or absent({series(leader)})",
    )
    ticks = series(control_telemetry.CONTROL_RECONCILE_SECONDS, "_count")
    yield Alert(
        "FairleadEngineStopped",
        "page",
        "2m",
        "the leading control plane no longer decides: nothing rolls forward or back",
        f"{total(rate(ticks, records.settings.window), 'namespace')} == 0",
    )
    yield Alert(
        "FairleadPublicationRefused",
        "page",
        "2m",
        "an update is held back because it would remove all routes",
        f"{largest(series(control_telemetry.CONTROL_REFUSED), 'namespace')} == 1",
    )
    yield Alert(
        "FairleadTargetDown",
        "ticket",
        "5m",
        "{{ $labels.fairlead_process }} {{ $labels.instance }} cannot be scraped",
        'up{fairlead_process!=""} == 0',
    )


def _sampled(expression: str, settings: Settings) -> str:
    """A subquery over what is lately: the last hour."""
    return f"({expression})[{':'.join(settings.lately)}]"
