"""Plays schedules of load with a real Prometheus, KEDA and autoscaler; pods are only objects, and start at once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fairlead.contracts.telemetry import MODEL_IN_FLIGHT
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from support.autoscaling import scraping
from support.autoscaling.loop import MOST, NAME, PER_INSTANCE, VERSION, values
from support.autoscaling.samples import Samples, changes, sampled
from support.autoscaling.schedules import Schedule, judge
from support.cluster.installed import CHARTS, install_crds
from support.cluster.keda import running_keda
from support.cluster.lifecycle import Cluster
from support.exporter import exporting
from support.processes import PATIENCE_S
from support.prometheus import running_prometheus, static
from support.proof import Findings

NAMESPACE = "schedules"


@dataclass
class Load:
    """The schedule that is played now. Before and after it nothing is in flight."""

    schedule: Schedule | None = None
    began: float = 0.0

    def in_flight(self) -> float:
        """What the exporter reports."""
        return self.schedule.noisy(time.monotonic() - self.began) if self.schedule else 0.0

    def series(self) -> str:
        """The same as the exporter writes it."""
        return f'{MODEL_IN_FLIGHT.name}{{model="{NAME}",version="{VERSION}"}} {self.in_flight()}\n'


@contextmanager
def scheduled(cluster: Cluster, folder: Path) -> Iterator[tuple[Load, Samples]]:
    """Run the loop without a platform, for a model whose load an exporter makes up."""
    load, kube = Load(), cluster.client(NAMESPACE)
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    install_crds(cluster.client())
    with ExitStack() as stack:
        address = stack.enter_context(exporting(load.series))
        scrapes = [static("model", address, namespace=NAMESPACE)]
        prometheus = stack.enter_context(
            running_prometheus(folder / "prometheus", scrapes, interval=scraping.INTERVAL, rules=[scraping.rules()])
        )
        stack.enter_context(running_keda(cluster, folder))
        path = folder / "values.json"
        path.write_text(json.dumps(values(prometheus.url, {"wanted": False})))
        kube.helm("install", NAME, str(CHARTS / "model"), "--values", str(path))
        stack.callback(kube, "delete", "scaledobjects", "--all")
        (deployment,) = kube.get("deployments")["items"]
        api = Api(kubeconfig.load(environment={"KUBECONFIG": str(cluster.kubeconfig)}))
        stack.callback(api.close)
        yield load, stack.enter_context(sampled(api, NAMESPACE, deployment["metadata"]["name"]))


def play(schedule: Schedule, load: Load, samples: Samples, found: Findings) -> None:
    """One schedule, from one instance back to one."""
    samples.wait_for(lambda one: (one.wanted, one.ready) == (1, 1), "one instance", within=PATIENCE_S)
    load.began, load.schedule = time.monotonic(), schedule
    began = samples.now
    during = samples.stay(schedule.seconds)
    load.schedule = None
    judged = judge(schedule, during, began=began, per_instance=PER_INSTANCE, most=MOST)
    found.claim(
        f"{schedule.name}: how often the instances changed their direction",
        f"at most {schedule.turns}",
        judged.turns,
        judged.turns <= schedule.turns,
    )
    found.note(
        f"{schedule.name}: instance-seconds, and those of an oracle that needs no reserve",
        f"{judged.wanted_seconds:.0f}, {judged.oracle_seconds:.0f} ({judged.ratio:.2f})",
    )
    found.note(
        f"{schedule.name}: seconds of {schedule.seconds:g} with fewer instances than the load needs",
        f"{judged.short_seconds:.0f}",
    )
    found.numbers.setdefault("schedules", {})[schedule.name] = {
        "turns": judged.turns,
        "instance seconds": round(judged.wanted_seconds),
        "oracle seconds": round(judged.oracle_seconds),
        "short seconds": round(judged.short_seconds),
        "changes": changes(during),
    }
