"""The recording rules of capacity: which autoscaler, pods and GPUs belong to which version, and what they cost.

An autoscaler and a Deployment have the name `<model>-<identity>`, and the control plane says which version that is. A
pod belongs to the version that its own service reports. So kube-state-metrics needs no allow-list of labels.
"""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.contracts import control_telemetry, telemetry
from fairlead.contracts import outside_telemetry as outside
from fairlead.contracts.telemetry import Metric
from monitoring.drift_recording import Add
from monitoring.promql import IDENTITY, largest, rate, series, total
from monitoring.settings import Prices, Settings

GPUS = "~nvidia_com_.+"
"""The resources that are GPUs, or slices of them, as kube-state-metrics writes `nvidia.com/gpu`."""
HOUR = 3600


class CapacityRecords:
    """The rules, all by namespace, model and version."""

    def __init__(self, add: Add, settings: Settings) -> None:
        window, prices = settings.window, settings.prices

        def record(name: str, expression: str) -> str:
            return add(f"model_version:fairlead_{name}", expression, *IDENTITY)

        cpu = rate(series(telemetry.PROCESS_CPU, fairlead_process="model"), window)
        self.cpu = record(f"cpu_cores:rate{window}", of_pods(cpu, "instance"))
        memory = series(telemetry.PROCESS_MEMORY, fairlead_process="model")
        self.memory = record("memory_bytes:sum", of_pods(memory, "instance"))
        self.cpu_reserved = record("cpu_reserved_cores:sum", of_pods(reserved(resource="cpu"), "pod"))
        self.gpus = record("gpus:sum", of_pods(reserved(resource=GPUS), "pod"))
        answered = series(telemetry.MODEL_ROWS, outcome="answered")
        self.rows = record(f"rows:rate{window}", total(rate(answered, window), *IDENTITY))
        # The larger of what is used and what is reserved: nobody else can have either.
        cores = f"(({self.cpu_reserved} > {self.cpu}) or {self.cpu})"
        gpus = " or ".join(_priced(prices))  # a pod is on one node
        self.cost = record(
            "cost_dollars_per_hour:sum",
            f"{prices.cpu:g} * {cores} + ({of_pods(gpus, 'pod')} or 0 * {cores})",
        )
        self.cost_per_1000 = record(
            f"cost_dollars_per_1000_rows:rate{window}", f"1000 * {self.cost} / {HOUR} / ({self.rows} > 0)"
        )
        self.desired, self.least, self.most = (
            record(f"autoscaler_{name}_instances:max", _named(metric, "horizontalpodautoscaler"))
            for name, metric in (
                ("desired", outside.AUTOSCALER_DESIRED),
                ("least", outside.AUTOSCALER_LEAST),
                ("most", outside.AUTOSCALER_MOST),
            )
        )
        self.ready = record("deployment_ready_instances:max", _named(outside.DEPLOYMENT_READY, "deployment"))
        read, target = (
            largest(series(one), "namespace", "horizontalpodautoscaler", "metric_name")
            for one in (outside.AUTOSCALER_READ, outside.AUTOSCALER_TARGET)
        )
        self.of_target = add(
            "model_version_metric:fairlead_autoscaler_of_target:ratio",
            joined(f"({read} / ({target} > 0))", "horizontalpodautoscaler", "metric_name"),
            *(*IDENTITY, "metric_name"),
        )
        errors = rate(series(outside.KEDA_ERRORS, type="scaledobject"), window)
        self.faulty = record(
            f"autoscaler_faulty_readings:rate{window}",
            joined(total(errors, "namespace", "scaledObject"), "scaledObject"),
        )


def of_pods(expression: str, label: str) -> str:
    """The sum by version of a series of pods, whose label names the pod (`pod`) or its service (`instance`)."""
    there = {"pod": "!="} if label == "pod" else {}
    info = largest(series(telemetry.MODEL_INFO, **there), "namespace", label, "model", "version")
    return total(f"({expression}) * on (namespace, {label}) group_left (model, version) {info}", *IDENTITY)


def joined(expression: str, label: str, *more: str) -> str:
    """The maximum by version of a series of objects that are called `<model>-<identity>`."""
    wanted = largest(series(control_telemetry.CONTROL_WANTED), *IDENTITY, "identity")
    names = f'label_join({wanted}, "{label}", "-", "model", "identity")'
    labels = ", ".join(("namespace", label))
    return largest(f"{expression} * on ({labels}) group_left (model, version) (1 + 0 * {names})", *IDENTITY, *more)


def reserved(**matchers: str) -> str:
    """What pods have reserved."""
    return total(series(outside.POD_REQUESTS, **matchers), "namespace", "pod")


def of_owner(expression: str) -> str:
    """The expression with the pod that a GPU belongs to as `pod`, also where the scrape has put it into
    `exported_pod`."""
    for label in ("pod", "namespace"):
        expression = f'label_replace({expression}, "{label}", "$1", "exported_{label}", "(.+)")'
    return expression


def _named(metric: Metric, label: str) -> str:
    return joined(largest(series(metric), "namespace", label), label)


def _priced(prices: Prices) -> Iterator[str]:
    """What the GPUs of each pod cost an hour: in the pools with a price of their own, and everywhere else."""
    for pattern, price in prices.pools:
        yield f"{price:g} * {reserved(resource=GPUS, node=f'~{pattern}')}"
    elsewhere = {"node": f"!~{'|'.join(pattern for pattern, _ in prices.pools)}"} if prices.pools else {}
    yield f"{prices.gpu:g} * {reserved(resource=GPUS, **elsewhere)}"
