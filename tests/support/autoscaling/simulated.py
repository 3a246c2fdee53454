"""Models whose pods are only objects and whose load is made up. Prometheus, the autoscaler and its faults are real.

Pods start at once. What they would count is on the pages of two exporters, as if each were a pod.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairlead.contracts.control_telemetry import CONTROL_WANTED
from fairlead.contracts.telemetry import MODEL_IN_FLIGHT, MODEL_REQUEST_SECONDS, SECONDS
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from support.autoscaling import scraping
from support.autoscaling.loop import VERSION, values
from support.autoscaling.samples import Samples, sampled
from support.cluster.installed import CHARTS, install_crds
from support.cluster.kubectl import Client
from support.cluster.lifecycle import Cluster
from support.exporter import exporting
from support.prometheus import Prometheus, running_prometheus, static

PODS = frozenset({0, 1})
OWN = "own_load"
"""A series that no recording rule sums: for queries of a user's own."""


@dataclass
class Reported:
    """What a model's pods report now. `in_flight` is the load of the model, of which each pod reports half."""

    in_flight: Callable[[], float] = lambda: 0.0
    scraped: frozenset[int] = PODS
    """The pods that can be scraped: the part of the others is missing."""
    own: frozenset[int] = frozenset({0})
    """The pods that report OWN."""
    wanted: int | None = None
    """What the control plane says that the rollout wants; None: it cannot be scraped."""

    def lines(self, model: str, pod: int) -> Iterator[str]:
        """The page of one pod, in the text format."""
        labels = f'model="{model}",version="{VERSION}"'
        if pod in self.scraped:
            yield f"{MODEL_IN_FLIGHT.name}{{{labels}}} {self.in_flight() / len(PODS)}"
            # No request ends: the quantile of such a histogram is NaN.
            for bound in (*SECONDS, "+Inf"):
                yield f'{MODEL_REQUEST_SECONDS.name}_bucket{{{labels},protocol="predict",le="{bound}"}} 0'
        if pod in self.own:
            yield f'{OWN}{{model="{model}"}} 0'
        if pod == 0 and self.wanted is not None:
            yield f'{CONTROL_WANTED.name}{{{labels},identity="{model}"}} {self.wanted}'


@dataclass(frozen=True)
class Simulated:
    """The models, by name, and what their Deployments did."""

    kube: Client
    scrapes: Sequence[dict[str, Any]]
    models: dict[str, Reported] = field(default_factory=dict)
    samples: dict[str, Samples] = field(default_factory=dict)

    def conditions(self, model: str) -> dict[str, str]:
        """The conditions of a model's ScaledObject."""
        (found,) = self.kube.get("scaledobjects", "", "--selector", f"fairlead.dev/model={model}")["items"]
        return {one["type"]: one["status"] for one in found["status"].get("conditions") or ()}


@contextmanager
def simulated(cluster: Cluster, namespace: str) -> Iterator[Simulated]:
    """A namespace for models that are only objects, and the exporters of their load."""
    kube = cluster.client(namespace)
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    install_crds(cluster.client())
    models: dict[str, Reported] = {}

    def page(pod: int) -> Callable[[], str]:
        return lambda: "".join(f"{line}\n" for name, one in list(models.items()) for line in one.lines(name, pod))

    with ExitStack() as stack:
        stack.callback(kube, "delete", "namespace", namespace, "--wait=false")
        scrapes = [
            static(f"pod-{pod}", stack.enter_context(exporting(page(pod))), namespace=namespace) for pod in sorted(PODS)
        ]
        yield Simulated(kube, scrapes, models)


@contextmanager
def scraping_simulated(world: Simulated, folder: Path, options: Sequence[str] = ()) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the pods of all models."""
    rules = [scraping.rules()]
    with running_prometheus(folder, world.scrapes, interval=scraping.INTERVAL, rules=rules, options=options) as found:
        yield found


@contextmanager
def deployed(world: Simulated, folder: Path, models: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Iterator[None]:
    """Deploy models with the chart, each with the URL of its Prometheus and its values of autoscaling, until the block
    ends. Their pods report nothing in flight."""
    api = Api(kubeconfig.load(environment={"KUBECONFIG": str(world.kube.kubeconfig)}))
    with ExitStack() as stack:
        stack.callback(api.close)
        for name, (prometheus, autoscaling) in models.items():
            world.models[name] = Reported()
            path = folder / f"{name}.json"
            path.write_text(json.dumps(values(prometheus, {"wanted": False, **autoscaling})))
            world.kube.helm("install", name, str(CHARTS / "model"), "--values", str(path))
            stack.callback(world.models.pop, name)
        with_hpa = all(autoscaling.get("kind") == "hpa" for _, autoscaling in models.values())
        # While KEDA can remove their finalizers.
        stack.callback(world.kube, "delete", "hpa" if with_hpa else "scaledobjects", "--all")
        for name in models:
            (deployment,) = world.kube.get("deployments", "", "--selector", f"fairlead.dev/model={name}")["items"]
            found = stack.enter_context(sampled(api, world.kube.namespace, deployment["metadata"]["name"]))
            world.samples[name] = found
        yield
