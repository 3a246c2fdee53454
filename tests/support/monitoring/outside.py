"""Stands in for kube-state-metrics, KEDA and the DCGM exporter beside a real platform: their series, of its versions.

And for a control plane whose clients have quotas: where they have, every request needs a key, and these send none.

No cluster and no GPU is there. Names and labels are those of the telemetry contract, numbers are made up. What an
autoscaler reads can be the real load, and then it wants what the autoscaler of Kubernetes would want of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fairlead.contracts import control_telemetry, telemetry
from fairlead.contracts import outside_telemetry as outside
from fairlead.contracts.telemetry import Metric
from support.exporter import exporting
from support.prometheus import Prometheus

PODS = {"relabel_configs": [{"source_labels": ["__address__"], "target_label": "pod"}]}
"""For a scrape of a platform: each process is a pod, whose name is its address."""
MOST, TARGET = 6, 2.0


@dataclass
class Outside:
    """The exporter's page. Before `look` it is empty."""

    address: str = ""
    wanted: tuple[dict[str, str], ...] = ()
    pods: tuple[dict[str, str], ...] = ()
    began: float = 0.0
    load: tuple[Prometheus, str] | None = None

    @property
    def scrape(self) -> dict[str, Any]:
        """The `scrape_config` of it."""
        return {"job_name": "outside", "honor_labels": True, "static_configs": [{"targets": [self.address]}]}

    def look(self, prometheus: Prometheus) -> None:
        """Learn from a Prometheus which versions and which pods there are now."""
        self.wanted = tuple(one["metric"] for one in prometheus.query(control_telemetry.CONTROL_WANTED.name))
        self.pods = tuple(one["metric"] for one in prometheus.query(telemetry.MODEL_INFO.name))
        self.began = self.began or time.time()

    @contextmanager
    def reading(self, prometheus: Prometheus, record: str) -> Iterator[None]:
        """Let autoscalers read this recorded series during a block."""
        self.load = prometheus, record
        try:
            yield
        finally:
            self.load = None

    def page(self) -> str:
        """The page."""
        found = [line for one in self.wanted for line in self._of_version(one)]
        found += [line for at, one in enumerate(self.pods) for line in self._of_pod(one, at)]
        return "".join([*found, *(self._of_clients() if self.began else ())])

    def _of_clients(self) -> Iterator[str]:
        used = min(700, 400 + int(time.time() - self.began))
        for period, of, quota in (("day", used, 1000), ("month", 9000 + used, 20_000)):
            where = {"namespace": "default", "client": "shop", "period": period}
            yield _line(control_telemetry.CONTROL_CLIENT_USED, of, where)
            yield _line(control_telemetry.CONTROL_CLIENT_QUOTA, quota, where)

    def _of_version(self, version: dict[str, str]) -> Iterator[str]:
        place = version["namespace"]
        name = f"{version['model']}-{version['identity']}"
        mine = [one for one in self.pods if (one["model"], one["version"]) == (version["model"], version["version"])]
        autoscaler = {"namespace": place, "horizontalpodautoscaler": name}
        number = {**autoscaler, "metric_name": "s0-prometheus", "metric_target_type": "average"}
        read = self._read(version, len(mine))
        wants = len(mine) if self.load is None else max(1, math.ceil(len(mine) * read / TARGET - 0.1))
        yield _line(outside.AUTOSCALER_DESIRED, min(wants, MOST), autoscaler)
        yield _line(outside.AUTOSCALER_LEAST, 1, autoscaler)
        yield _line(outside.AUTOSCALER_MOST, MOST, autoscaler)
        yield _line(outside.AUTOSCALER_TARGET, TARGET, number)
        yield _line(outside.AUTOSCALER_READ, read, number)
        yield _line(outside.DEPLOYMENT_READY, len(mine), {"namespace": place, "deployment": name})
        reader = {"scaler": "prometheusScaler", "metric": "s0-prometheus", "triggerIndex": "0", "type": "scaledobject"}
        yield _line(outside.KEDA_ERRORS, 0, {"namespace": place, "scaledObject": name, **reader})

    def _of_pod(self, pod: dict[str, str], number: int) -> Iterator[str]:
        where = {"namespace": pod["namespace"], "pod": pod["pod"]}
        container = {**where, "uid": "", "container": "model", "node": "gpu-1"}
        yield _line(outside.POD_REQUESTS, 0.5, {**container, "resource": "cpu", "unit": "core"})
        yield _line(outside.POD_REQUESTS, 1, {**container, "resource": "nvidia_com_gpu", "unit": "integer"})
        gpu = {"gpu": "0", "UUID": f"GPU-{pod['pod']}", "device": "nvidia0", "modelName": "NVIDIA L4", **where}
        busy = self._wave(0.6, 0.25, number)
        values = (
            (outside.GPU_BUSY, 100 * busy),
            (outside.GPU_ENGINE, 0.8 * busy),
            (outside.GPU_MEMORY_USED, 9000 + 500 * busy),
            (outside.GPU_MEMORY_FREE, 13000 - 500 * busy),
            (outside.GPU_POWER, 30 + 40 * busy),
            (outside.GPU_TEMPERATURE, 45 + 20 * busy),
            (outside.GPU_FAULT, 0),
        )
        for metric, value in values:
            yield _line(metric, value, {**gpu, "Hostname": "gpu-1", "container": "model"})

    def _read(self, version: dict[str, str], instances: int) -> float:
        """What the autoscaler of a version reads for each of its instances."""
        if (load := self.load) is None:
            return self._wave(1.5, 0.3)
        prometheus, record = load
        of = ",".join(f'{label}="{version[label]}"' for label in ("namespace", "model", "version"))
        found = prometheus.query(f"{record}{{{of}}}")
        return float(found[0]["value"][1]) / max(1, instances) if found else 0.0

    def _wave(self, mean: float, swing: float, number: int = 0) -> float:
        return mean + swing * math.sin((time.time() - self.began) / 6 + number)


def _line(metric: Metric, value: float, labels: dict[str, str]) -> str:
    assert labels.keys() <= {*metric.labels, "namespace"}, labels.keys() - set(metric.labels)
    inner = ",".join(f'{name}="{text}"' for name, text in labels.items())
    return f"{metric.name}{{{inner}}} {value:g}\n"


@contextmanager
def outside_world() -> Iterator[Outside]:
    """Serve the page during a block."""
    found = Outside()
    with exporting(found.page) as found.address:
        yield found
