"""All models: who serves, how much, how well and how fast."""

from __future__ import annotations

from fairlead.contracts import control_telemetry, drift_telemetry, telemetry
from fairlead.contracts import gateway_telemetry as gateway
from monitoring.boards.choices import NAMESPACE, OF_MODEL, STEP, chosen, releases, variables
from monitoring.looks import PERCENT, column, columns, heat, red_from
from monitoring.panels import Dashboard, Panel, Query, Row
from monitoring.promql import IDENTITY, largest, rate, series, total
from monitoring.recording import MODEL, Records

_ALERTS = 'ALERTS{alertname=~"Fairlead.*",alertstate="firing",severity!="info",namespace=~"$namespace",model=~"$model"}'
"""The alerts of what is chosen. Those of the platform have no model, and are there while all models are."""


def board(records: Records) -> Dashboard:
    """The dashboard."""
    settings = records.settings
    model = "{{namespace}}/{{model}}"
    requests = total(chosen(records.requests, **OF_MODEL), *MODEL)
    slowest = max(settings.quantiles)
    p = f"p{slowest * 100:g}"
    burn = settings.burns[0].long
    down, degraded = (
        largest(series(metric, **OF_MODEL), *MODEL)
        for metric in (control_telemetry.CONTROL_DOWN, control_telemetry.CONTROL_DEGRADED)
    )
    failing = chosen(records.burnt[settings.window], **OF_MODEL)
    latency = f"max by (namespace, model) ({chosen(records.latency[slowest], **OF_MODEL)})"
    rollouts = largest(series(control_telemetry.CONTROL_STEP, **OF_MODEL), *MODEL)
    return Dashboard(
        "fairlead-fleet",
        "Fairlead / Fleet",
        "All models: who serves, how much, how well and how fast.",
        variables(records, "namespace", "model"),
        (
            Row(
                "Now",
                (
                    _count(
                        "Models down", "Models whose users get errors. Anything but 0 is an incident.", f"sum({down})"
                    ),
                    _count("Models degraded", "Models with fewer instances than they need.", f"sum({degraded})"),
                    _count("Rollouts", "Releases in progress.", f"count({rollouts}) or vector(0)", bad=False),
                    _count(
                        "Firing alerts",
                        "Alerts of Fairlead that fire now.",
                        f"count({_ALERTS}) or vector(0)",
                    ),
                ),
            ),
            Row(
                "Models",
                (
                    Panel(
                        "Models",
                        f"Each model now: requests, the share that failed, the highest {p} of a version, instances.",
                        (
                            Query(requests, "requests"),
                            Query(failing, "failed"),
                            Query(latency, "latency"),
                            Query(
                                total(series(control_telemetry.CONTROL_READY, role="stable", **OF_MODEL), *MODEL),
                                "ready",
                            ),
                        ),
                        kind="table",
                        width=24,
                        transformations=columns(
                            {
                                "Value #A": "requests",
                                "Value #B": "failed",
                                "Value #C": p,
                                "Value #D": "ready instances",
                            }
                        ),
                        overrides=(column("requests", "reqps", 1), column("failed", PERCENT), column(p, "s")),
                    ),
                ),
            ),
            Row(
                "Requests",
                (
                    Panel("Requests", "Requests per second, by model.", (Query(requests, model),), "reqps"),
                    Panel(
                        "Failed requests",
                        f"The share that users got as 5xx. The objective allows {settings.budget:.2%}.",
                        (Query(failing, model),),
                        PERCENT,
                    ),
                    Panel(f"Latency {p}", "Of each model's slowest version.", (Query(latency, model),), "s"),
                    Panel(
                        "Error budget",
                        f"How fast it burns, over {burn}. At 1 it lasts exactly as long as planned.",
                        (Query(f"{chosen(records.burnt[burn], **OF_MODEL)} / {settings.budget:g}", model),),
                        defaults=red_from(1),
                    ),
                    Panel(
                        "Answers of the gateways",
                        "All answers to clients by class, also those that no model gave: unknown paths, overload.",
                        (
                            Query(
                                total(
                                    rate(
                                        series(
                                            gateway.GATEWAY_EDGE_CLASSES,
                                            envoy_http_conn_manager_prefix=gateway.EDGE,
                                            **NAMESPACE,
                                        ),
                                        STEP,
                                    ),
                                    "envoy_response_code_class",
                                ),
                                "{{envoy_response_code_class}}xx",
                            ),
                        ),
                        "reqps",
                    ),
                    Panel(
                        "Ready instances",
                        "Instances of stable that are ready.",
                        (
                            Query(
                                total(series(control_telemetry.CONTROL_READY, role="stable", **OF_MODEL), *MODEL),
                                model,
                            ),
                        ),
                    ),
                ),
            ),
            _drift(records),
            Row(
                "What runs",
                (
                    Panel(
                        "Versions",
                        "Every version with a process, its format and the digest of its model.",
                        (
                            Query(
                                f"count by ({', '.join(IDENTITY)}, format, artifact, fairlead) "
                                f"({series(telemetry.MODEL_INFO, **OF_MODEL)})",
                                "processes",
                            ),
                        ),
                        kind="table",
                        width=24,
                        transformations=columns({"Value": "processes"}),
                    ),
                ),
            ),
        ),
        (releases(**OF_MODEL),),
    )


def _drift(records: Records) -> Row:
    """Which inputs and answers have moved most, and which versions do not say."""
    window, _ = records.settings.drift.windows[0]
    served = f"max by ({', '.join(IDENTITY)}) ({series(telemetry.MODEL_INFO, **OF_MODEL)})"
    profiles = f"on ({', '.join(IDENTITY)}) {series(drift_telemetry.MODEL_PROFILE_INFO, kind='given')}"
    return Row(
        "Drift",
        (
            Panel(
                "Largest PSI",
                f"The ten features that are farthest from their reference, over {window}.",
                (Query(f"topk(10, {chosen(records.drift[0].psi, **OF_MODEL)})", "PSI"),),
                kind="table",
                width=12,
                defaults=heat(records.settings.drift.answer_floor, records.settings.drift.input_floor),
                transformations=columns({"Value": "PSI"}),
            ),
            Panel(
                "Without a profile",
                "Versions whose drift is not measured: they have no reference profile, or it is not scraped.",
                (Query(f"{served} unless {profiles}", "version"),),
                kind="table",
                width=12,
                transformations=columns({}, "Value"),
            ),
        ),
    )


def _count(title: str, description: str, expression: str, *, bad: bool = True) -> Panel:
    colours = red_from(1) if bad else {}
    return Panel(title, description, (Query(expression),), kind="stat", width=6, height=4, defaults=colours)
