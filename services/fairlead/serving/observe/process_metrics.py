"""What prometheus_client knows of a Python process, added up over the workers of a service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, gc_collector, platform_collector, process_collector
from prometheus_client.metrics_core import Metric as Family

from fairlead.serving.observe.counts import Counts
from fairlead.serving.observe.series import SEPARATOR

CPU_SECONDS = "process_cpu_seconds_total"
"""The counter of the CPU seconds of a process, in user and system mode."""
SUMMED = ("process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds")
"""The gauges of which a service has the sum over its workers. The others are those of the worker that answers."""


class ProcessMetrics:
    """The families of this process; with several workers, counters and SUMMED are those of all."""

    def __init__(self, counts: Counts, *, shares: bool) -> None:
        self._registry = CollectorRegistry()
        for collector in (
            process_collector.ProcessCollector,
            platform_collector.PlatformCollector,
            gc_collector.GCCollector,
        ):
            collector(registry=self._registry)
        self._counts = counts
        self._shares = shares
        self._before: dict[str, float] = {}
        self.levels: Sequence[float] = ()
        """The values of SUMMED of this process, when `publish` was called last."""

    def publish(self) -> None:
        """Write what this process has used until now to the shared memory. Without other workers nothing is to do."""
        if not self._shares:
            return
        found = dict.fromkeys(SUMMED, 0.0)
        for family in self._registry.collect():
            for sample in family.samples:
                if family.type == "counter":
                    name = SEPARATOR.join((sample.name, *sample.labels.values()))
                    place = self._counts.place(name)
                    # What the workers before this one have used stays: the sum never falls.
                    before = self._before.setdefault(name, self._counts.numbers[place])
                    self._counts.numbers[place] = before + sample.value
                elif sample.name in found:
                    found[sample.name] = sample.value
        self.levels = tuple(found.values())

    def families(self, counted: dict[str, float], levels: Sequence[float]) -> Iterable[Family]:
        """The families; `counted` and `levels` are sums over the workers."""
        summed = dict(zip(SUMMED, levels, strict=True))
        for family in self._registry.collect():
            if self._shares:
                family.samples = [
                    sample._replace(
                        value=counted.get(SEPARATOR.join((sample.name, *sample.labels.values())), sample.value)
                        if family.type == "counter"
                        else summed.get(sample.name, sample.value)
                    )
                    for sample in family.samples
                ]
            yield family
