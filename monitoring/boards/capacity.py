"""Capacity: whether there are enough instances, how full processors and GPUs are, and what predictions cost."""

from __future__ import annotations

from fairlead.contracts import outside_telemetry as outside
from fairlead.contracts import telemetry
from fairlead.contracts.telemetry import Metric
from monitoring.boards.choices import OF_MODEL, OF_VERSION, chosen, releases, variables
from monitoring.capacity_recording import of_owner
from monitoring.looks import PERCENT, red_from
from monitoring.panels import Dashboard, Panel, Query, Row
from monitoring.promql import largest, series, total
from monitoring.recording import Records

_VERSION = "{{model}} {{version}}"
_GPU = "{{pod}} GPU {{gpu}}"
DOLLARS = "currencyUSD"


def board(records: Records) -> Dashboard:
    """The dashboard."""
    return Dashboard(
        "fairlead-capacity",
        "Fairlead / Capacity and GPUs",
        "Whether there are enough instances, how full processors and GPUs are, and what predictions cost.",
        variables(records, "namespace", "model", "version"),
        (_autoscaling(records), _saturation(records), _processors(records), _gpus(records), _cost(records)),
        (releases(**OF_MODEL),),
    )


def _autoscaling(records: Records) -> Row:
    found = records.capacity
    answering = total(f"{series(telemetry.MODEL_PHASE, phase='ready', **OF_VERSION)} == 1", "model", "version")
    in_flight = total(chosen(records.scaling_in_flight, **OF_VERSION), "model", "version")
    return Row(
        "Autoscaling",
        (
            Panel(
                "Instances",
                "How many the autoscaler wants and may want, how many are ready, and how many the rollout needs.",
                (
                    _by_version(found.desired, "wanted"),
                    _by_version(found.ready, "ready"),
                    _by_version(found.most, "at most"),
                    _by_version(records.scaling_wanted, "for the rollout"),
                ),
            ),
            Panel(
                "Load against its target",
                "What the autoscaler has read, as a share of its target. Above 100 % it adds instances.",
                (Query(chosen(found.of_target, **OF_VERSION), f"{_VERSION} {{{{metric_name}}}}"),),
                PERCENT,
                defaults=red_from(1.1),
            ),
            Panel(
                "In flight for each instance",
                "Requests that a ready instance answers at a time, as their mean over a minute.",
                (Query(f"{in_flight} / ({answering} > 0)", _VERSION),),
            ),
            Panel(
                "Faulty readings",
                "Readings of KEDA that fail. While they do, it keeps the instances.",
                (_by_version(found.faulty),),
                "ops",
                width=12,
                defaults=red_from(0.001),
            ),
            Panel(
                "Load is not measured",
                "Versions that answer requests, and whose load no autoscaler can read: their services are not scraped.",
                (Query(f"count({_unmeasured(records)}) or vector(0)", "versions"),),
                kind="stat",
                width=12,
                defaults=red_from(1),
            ),
        ),
    )


def _saturation(records: Records) -> Row:
    return Row(
        "Saturation",
        (
            Panel("Rows in the queue", "Rows that wait for the model.", (_by_version(records.queue_rows),)),
            Panel(
                "In the queue, p99",
                "Rises first when a version has too few instances.",
                (_by_version(records.queue_seconds),),
                "s",
            ),
            Panel(
                "Refused",
                "The share of requests that are refused because the queue is too long.",
                (_by_version(records.refused),),
                PERCENT,
                defaults=red_from(records.settings.rejected_share),
            ),
        ),
    )


def _processors(records: Records) -> Row:
    found = records.capacity
    return Row(
        "Processors and memory",
        (
            Panel(
                "Cores",
                "Cores that are used, and that the pods have reserved.",
                (_by_version(found.cpu, "used"), _by_version(found.cpu_reserved, "reserved")),
                width=12,
            ),
            Panel("Memory", "Resident memory of all instances.", (_by_version(found.memory),), "bytes", width=12),
        ),
    )


def _gpus(records: Records) -> Row:
    used, free = (_of_gpu(one) for one in (outside.GPU_MEMORY_USED, outside.GPU_MEMORY_FREE))
    return Row(
        "GPUs",
        (
            Panel(
                "GPUs", "GPUs, or slices of them, that the pods have reserved.", (_by_version(records.capacity.gpus),)
            ),
            Panel(
                "Busy",
                "Time in which anything ran on the GPU. It says nothing about how much of it was used.",
                (Query(_of_gpu(outside.GPU_BUSY), _GPU),),
                "percent",
                defaults={"max": 100},
            ),
            Panel(
                "Engine",
                "Time in which the engine was active, also of a slice; empty where the exporter does not profile.",
                (Query(_of_gpu(outside.GPU_ENGINE), _GPU),),
                PERCENT,
                defaults={"max": 1},
            ),
            Panel(
                "Memory of the GPU",
                "The share that is used.",
                (Query(f"{used} / ({used} + {free})", _GPU),),
                PERCENT,
                width=6,
                defaults={"max": 1},
            ),
            Panel("Power", "Of each GPU.", (Query(_of_gpu(outside.GPU_POWER), _GPU),), "watt", width=6),
            Panel("Temperature", "Of each GPU.", (Query(_of_gpu(outside.GPU_TEMPERATURE), _GPU),), "celsius", width=6),
            Panel(
                "Fault",
                "NVIDIA's number (XID) of the last fault of each GPU. 0: none.",
                (Query(_of_gpu(outside.GPU_FAULT), _GPU),),
                width=6,
                defaults=red_from(1),
            ),
        ),
    )


def _cost(records: Records) -> Row:
    found, prices = records.capacity, records.settings.prices
    return Row(
        "Cost",
        (
            Panel(
                "Cost of 1,000 predictions",
                f"What the processors and GPUs of a version cost, for 1,000 answered rows: {prices.cpu:g} dollars for "
                f"an hour of a core, {prices.gpu:g} for one of a GPU. Little load makes them dear.",
                (_by_version(found.cost_per_1000),),
                DOLLARS,
                width=12,
                defaults={"decimals": 4},
            ),
            Panel(
                "Cost of an hour",
                "What its processors and GPUs cost, with or without requests.",
                (_by_version(found.cost),),
                DOLLARS,
                width=12,
                defaults={"decimals": 3},
            ),
        ),
    )


def _unmeasured(records: Records) -> str:
    measured = chosen(records.scaling_in_flight, **OF_VERSION)
    return f"{chosen(records.good_tries, **OF_VERSION)} > {records.settings.least_rate:g} unless {measured}"


def _by_version(record: str, legend: str = "") -> Query:
    return Query(chosen(record, **OF_VERSION), f"{_VERSION} {legend}".rstrip())


def _of_gpu(metric: Metric) -> str:
    """The GPUs of the chosen versions' pods, by pod and GPU."""
    info = largest(series(telemetry.MODEL_INFO, pod="!=", **OF_VERSION), "namespace", "pod")
    return largest(f"{of_owner(series(metric))} * on (namespace, pod) group_left () {info}", "pod", "gpu")
