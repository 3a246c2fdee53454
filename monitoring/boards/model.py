"""One model by version: what users get, where the time goes, how full it is."""

from __future__ import annotations

from fairlead.contracts import gateway_telemetry as gateway
from fairlead.contracts import telemetry
from fairlead.contracts.telemetry import Metric
from monitoring.boards.choices import NAMESPACE, OF_MODEL, OF_VERSION, STEP, chosen, mean, releases, variables
from monitoring.looks import PERCENT
from monitoring.panels import Dashboard, Panel, Query, Row
from monitoring.promql import of_gauge, rate, series, total
from monitoring.recording import Records


def board(records: Records) -> Dashboard:
    """The dashboard."""
    version = "{{version}}"
    quantiles = tuple(
        Query(chosen(name, **OF_VERSION), f"{version} p{share * 100:g}") for share, name in records.latency.items()
    )

    def service(metric: Metric, *labels: str, **matchers: str) -> str:
        return total(series(metric, **OF_VERSION, **matchers), "version", *labels)

    def flow(metric: Metric, *labels: str, **matchers: str) -> str:
        return total(rate(series(metric, **OF_VERSION, **matchers), STEP), "version", *labels)

    def process(metric: Metric, per_second: bool) -> str:
        found = series(metric, fairlead_process="model", **NAMESPACE)
        value = rate(found, STEP) if per_second else found
        info = f"max by (namespace, instance, version) ({series(telemetry.MODEL_INFO, **OF_VERSION)})"
        return f"sum by (version) ({value} * on (namespace, instance) group_left (version) {info})"

    return Dashboard(
        "fairlead-model",
        "Fairlead / Model",
        "One model by version: traffic, errors and latency at the gateway, and where the time goes in the services.",
        variables(records, "namespace", "model", "version", one=("namespace", "model")),
        (
            Row(
                "What users get",
                (
                    Panel(
                        "Requests",
                        "Requests per second by the version that they were routed to.",
                        (Query(chosen(records.requests, **OF_VERSION), version),),
                        "reqps",
                    ),
                    Panel(
                        "Answers by class",
                        "4xx are faults of requests, 5xx are failures.",
                        (
                            Query(
                                total(chosen(records.classes, **OF_VERSION), "version", "class"),
                                f"{version} {{{{class}}}}",
                            ),
                        ),
                        "reqps",
                    ),
                    Panel(
                        "Failed requests",
                        "The share that users got as 5xx.",
                        (Query(chosen(records.errors, **OF_VERSION), version),),
                        PERCENT,
                    ),
                    Panel("Latency", "At the gateway, retries included.", quantiles, "s"),
                    Panel(
                        "Latency, all versions",
                        "How many requests took how long.",
                        (Query(total(chosen(records.buckets, **OF_VERSION), "le"), "{{le}}"),),
                        kind="heatmap",
                    ),
                    Panel(
                        "Failures of the version itself",
                        "The share of tries that an instance failed. During a rollout users do not see them: stable "
                        "answers in the candidate's place.",
                        (Query(chosen(records.failed_tries, **OF_VERSION), version),),
                        PERCENT,
                    ),
                ),
            ),
            Row(
                "Where the time goes",
                (
                    Panel(
                        "In the service, mean",
                        "A request is its time in the queue, its share of a batch and decoding.",
                        (
                            Query(
                                mean(telemetry.MODEL_REQUEST_SECONDS, "version", protocol="!=other", **OF_VERSION),
                                f"{version} request",
                            ),
                            Query(mean(telemetry.MODEL_QUEUE_SECONDS, "version", **OF_VERSION), f"{version} queue"),
                            Query(
                                mean(telemetry.MODEL_COMPUTE_SECONDS, "version", **OF_VERSION), f"{version} one batch"
                            ),
                        ),
                        "s",
                    ),
                    Panel(
                        "In the queue, p99",
                        "Rises first when a version has too few instances.",
                        (Query(chosen(records.queue_seconds, **OF_VERSION), version),),
                        "s",
                    ),
                    Panel(
                        "Rows in a batch, mean",
                        "1 while nothing waits, or while batching is off.",
                        (Query(mean(telemetry.MODEL_BATCH_ROWS, "version", **OF_VERSION), version),),
                    ),
                ),
            ),
            Row(
                "How full it is",
                (
                    Panel(
                        "Requests in flight",
                        "In the services, and as the gateway sees them. A gap between the two is the way in between.",
                        (
                            Query(chosen(records.in_flight, **OF_VERSION), f"{version} service"),
                            Query(
                                total(
                                    of_gauge(
                                        gateway.GATEWAY_ACTIVE,
                                        fairlead_namespace="~$namespace",
                                        fairlead_model="~$model",
                                    ),
                                    "version",
                                ),
                                f"{version} gateway",
                            ),
                        ),
                    ),
                    Panel(
                        "Rows in the queue",
                        "Rows that wait for the model.",
                        (Query(chosen(records.queue_rows, **OF_VERSION), version),),
                    ),
                    Panel(
                        "Bytes in the queue",
                        "Request bytes of these rows. The limit is the setting queue_bytes.",
                        (Query(service(telemetry.MODEL_QUEUE_BYTES), version),),
                        "bytes",
                    ),
                    Panel(
                        "Work that was not done",
                        "Requests that were dropped before the model saw them, by reason.",
                        (Query(flow(telemetry.MODEL_REJECTED, "reason"), f"{version} {{{{reason}}}}"),),
                        "reqps",
                    ),
                    Panel(
                        "Failures of the model's code",
                        "Exceptions, calls that took too long, and processes that were replaced.",
                        (
                            Query(flow(telemetry.MODEL_FAILURES), f"{version} failed"),
                            Query(flow(telemetry.MODEL_LATE_CALLS, "outcome"), f"{version} {{{{outcome}}}}"),
                            Query(
                                flow(telemetry.MODEL_PROCESS_RESTARTS, "reason"), f"{version} process {{{{reason}}}}"
                            ),
                        ),
                        "ops",
                    ),
                    Panel(
                        "Rows",
                        "Rows per second by outcome.",
                        (Query(flow(telemetry.MODEL_ROWS, "outcome"), f"{version} {{{{outcome}}}}"),),
                        "rowsps",
                    ),
                ),
            ),
            Row(
                "Processes",
                (
                    Panel(
                        "CPU",
                        "Processor seconds per second, all instances.",
                        (Query(process(telemetry.PROCESS_CPU, True), version),),
                    ),
                    Panel(
                        "Memory",
                        "Resident memory, all instances.",
                        (Query(process(telemetry.PROCESS_MEMORY, False), version),),
                        "bytes",
                    ),
                    Panel(
                        "Phases",
                        "Instances by phase. hanging and failed do not end by themselves.",
                        (Query(f"{service(telemetry.MODEL_PHASE, 'phase')} > 0", f"{version} {{{{phase}}}}"),),
                    ),
                ),
            ),
        ),
        (releases(**OF_MODEL),),
    )
