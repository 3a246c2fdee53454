"""The platform itself: control plane, gateways, scrapes."""

from __future__ import annotations

from fairlead.contracts import control_telemetry
from fairlead.contracts import gateway_telemetry as gateway
from monitoring.boards.choices import NAMESPACE, STEP, quantile, variables
from monitoring.looks import PERCENT, column, columns, red_from, words
from monitoring.panels import Dashboard, Panel, Query, Row
from monitoring.promql import largest, of_gauge, rate, series, total
from monitoring.recording import MODEL, Records
from monitoring.settings import Settings

CLIENT = ("namespace", "client", "period")


def board(records: Records) -> Dashboard:
    """The dashboard."""
    up = 'max by (namespace, fairlead_process, instance) (up{fairlead_process!="",namespace=~"$namespace"})'
    return Dashboard(
        "fairlead-platform",
        "Fairlead / Control plane and gateways",
        "The platform itself: who leads, how fast it decides, and what the gateways serve.",
        variables(records, "namespace"),
        (
            Row(
                "Control plane",
                (
                    Panel(
                        "Leader",
                        "1 for the replica that leads. None: nothing rolls forward or back.",
                        (Query(series(control_telemetry.CONTROL_LEADER, **NAMESPACE), "{{namespace}} {{instance}}"),),
                        kind="state-timeline",
                        defaults=words(follows="blue", leads="green"),
                    ),
                    Panel(
                        "Duration of a tick",
                        "How long one look at all routes takes.",
                        tuple(
                            Query(
                                quantile(share, control_telemetry.CONTROL_RECONCILE_SECONDS, "namespace", **NAMESPACE),
                                f"{{{{namespace}}}} p{share * 100:g}",
                            )
                            for share in records.settings.quantiles
                        ),
                        "s",
                    ),
                    Panel(
                        "Ticks",
                        "Ticks per second. 0: the engine has stopped.",
                        (
                            Query(
                                total(
                                    rate(
                                        series(control_telemetry.CONTROL_RECONCILE_SECONDS, "_count", **NAMESPACE), STEP
                                    ),
                                    "namespace",
                                ),
                                "{{namespace}}",
                            ),
                        ),
                        "ops",
                    ),
                    Panel(
                        "Publications",
                        "The number of the last one. It rises when a table changes.",
                        (
                            Query(
                                largest(series(control_telemetry.CONTROL_SEQUENCE, **NAMESPACE), "namespace"),
                                "{{namespace}}",
                            ),
                        ),
                    ),
                    Panel(
                        "Held back",
                        "1 while an update is held back because it would remove all routes.",
                        (
                            Query(
                                largest(series(control_telemetry.CONTROL_REFUSED, **NAMESPACE), "namespace"),
                                "{{namespace}}",
                            ),
                        ),
                        defaults=red_from(1),
                    ),
                    Panel(
                        "Discovery requests",
                        "Requests of gateways for their configuration by answer. On one machine gateways read files.",
                        (
                            Query(
                                total(
                                    rate(series(control_telemetry.CONTROL_XDS_ANSWERS, **NAMESPACE), STEP),
                                    "answer",
                                ),
                                "{{answer}}",
                            ),
                        ),
                        "reqps",
                    ),
                ),
            ),
            Row(
                "Gateways",
                (
                    Panel(
                        "Gateways",
                        "Which of them serve and answer.",
                        (
                            Query(
                                largest(
                                    series(control_telemetry.CONTROL_GATEWAY_UP, **NAMESPACE), "namespace", "gateway"
                                ),
                                "{{namespace}} {{gateway}}",
                            ),
                        ),
                        kind="state-timeline",
                        defaults=words(silent="red", serves="green"),
                    ),
                    Panel(
                        "Configuration",
                        "Which of them reject what they are given.",
                        (
                            Query(
                                largest(
                                    series(control_telemetry.CONTROL_GATEWAY_REFUSES, **NAMESPACE),
                                    "namespace",
                                    "gateway",
                                ),
                                "{{namespace}} {{gateway}}",
                            ),
                        ),
                        kind="state-timeline",
                        defaults=words(takes="green", rejects="red"),
                    ),
                    Panel(
                        "Revisions behind",
                        "How many revisions the slowest gateway is behind.",
                        (
                            Query(
                                f"{largest(series(control_telemetry.CONTROL_REVISION, **NAMESPACE), *MODEL)} - "
                                f"min by (namespace, model) "
                                f"({series(control_telemetry.CONTROL_GATEWAY_REVISION, **NAMESPACE)})",
                                "{{namespace}}/{{model}}",
                            ),
                        ),
                    ),
                    Panel(
                        "Requests in flight",
                        "Requests of clients.",
                        (
                            Query(
                                series(
                                    gateway.GATEWAY_EDGE_ACTIVE,
                                    envoy_http_conn_manager_prefix=gateway.EDGE,
                                    **NAMESPACE,
                                ),
                                "{{instance}}",
                            ),
                        ),
                    ),
                    Panel(
                        "Memory",
                        "What each gateway has taken.",
                        (Query(series(gateway.GATEWAY_HEAP, **NAMESPACE), "{{instance}}"),),
                        "bytes",
                    ),
                    Panel(
                        "Sheds load",
                        "1 while a gateway is short of memory and answers 503.",
                        (Query(series(gateway.GATEWAY_SHEDS, **NAMESPACE), "{{instance}}"),),
                        defaults=red_from(1),
                    ),
                    Panel(
                        "Instances",
                        "Instances that get requests, and those that get none because they failed, by version.",
                        (
                            Query(
                                of_gauge(gateway.GATEWAY_HEALTHY, fairlead_role="split", **NAMESPACE),
                                "{{namespace}}/{{model}} {{version}} healthy",
                            ),
                            Query(
                                of_gauge(gateway.GATEWAY_EJECTED, fairlead_role="split", **NAMESPACE),
                                "{{namespace}}/{{model}} {{version}} ejected",
                            ),
                        ),
                    ),
                    Panel(
                        "Uptime",
                        "Since each gateway started.",
                        (Query(series(gateway.GATEWAY_UPTIME, **NAMESPACE), "{{instance}}"),),
                        "s",
                    ),
                ),
            ),
            _clients(records.settings),
            Row(
                "Scrapes",
                (
                    Panel(
                        "Targets",
                        "What Prometheus can read. What it cannot is red.",
                        (Query(up, "{{namespace}} {{fairlead_process}} {{instance}}"),),
                        kind="state-timeline",
                        width=24,
                        defaults=words(down="red", up="green"),
                    ),
                ),
            ),
        ),
    )


def _clients(settings: Settings) -> Row:
    """What clients have used of their quotas."""
    used, quota = (
        largest(series(metric, **NAMESPACE), *CLIENT)
        for metric in (control_telemetry.CONTROL_CLIENT_USED, control_telemetry.CONTROL_CLIENT_QUOTA)
    )
    return Row(
        "Clients",
        (
            Panel(
                "Quotas",
                "What each client has used in this day or month. Empty: no client has a quota.",
                (Query(used, "used"), Query(quota, "quota"), Query(f"{used} / {quota}", "share")),
                kind="table",
                width=12,
                transformations=columns({"Value #A": "used", "Value #B": "quota", "Value #C": "share"}),
                overrides=(column("share", PERCENT, 1),),
            ),
            Panel(
                "Used of the quota",
                f"Above {settings.quota_share:.0%} is an alert. At 100% the client gets 429 until the period ends.",
                (Query(f"{used} / {quota}", "{{namespace}} {{client}}, {{period}}"),),
                PERCENT,
                width=12,
                defaults=red_from(settings.quota_share),
            ),
        ),
    )
