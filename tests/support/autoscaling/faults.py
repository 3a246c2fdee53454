"""The faults of the loop that docs/autoscaling.md lists, played with simulated models, most of them at the same time.

Each fault has a model of its own. All models are busy, then their faults begin, then the load of most of them ends. The
pods that are left at the end of the fault tell whether the autoscaler took it for an end of the load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.autoscaling import scraping
from support.autoscaling.loop import PER_INSTANCE, STABLE_S
from support.autoscaling.samples import Sample, changes
from support.autoscaling.simulated import OWN, PODS, Reported, Simulated, deployed, scraping_simulated, simulated
from support.cluster.adapter import running_adapter
from support.cluster.keda import running_keda
from support.cluster.lifecycle import Cluster
from support.processes import wait_until
from support.prometheus import Prometheus

BUSY, MORE = 8.0, 12.0
"""Requests in flight, for which NEEDED and MOST instances are enough."""
NEEDED, MOST = round(BUSY / PER_INSTANCE), round(MORE / PER_INSTANCE)
SOON_S = 120.0
"""How long something may take that must happen."""
BEGUN_S = 3.0
"""From the beginning of the faults to the end of the load."""
HELD_S = 2.0 * STABLE_S
"""How long a fault lasts after that. After the stabilisation a load that has ended would have left one instance."""
RETURNED_S = 8.0
"""How long a constant load is watched after the fault: longer than the window of the rules."""
LOOKBACK = "8s"
"""For how long a Prometheus takes the last value of a series that is not recorded any more: elsewhere 5 minutes."""
HEALTHY, KILLED, STOPPED = "healthy", "killed", "stopped"
"""Three processes of Prometheus: one is always well, one is killed, one evaluates its rules no more."""
Change = Callable[[Reported], None]


def _nothing(reported: Reported) -> None:
    """What is wrong is not in what the pods report."""


def _scraped(pods: frozenset[int]) -> Change:
    return lambda reported: setattr(reported, "scraped", pods)


def _own(pods: frozenset[int]) -> Change:
    return lambda reported: setattr(reported, "own", pods)


def _wanted(instances: int | None) -> Change:
    return lambda reported: setattr(reported, "wanted", instances)


def _own_query(model: str, prometheus: str) -> dict[str, Any]:
    """A trigger of a user's own, beside that of the chart."""
    metadata = {"serverAddress": prometheus, "query": f'{OWN}{{model="{model}"}}', "threshold": "2"}
    metadata["ignoreNullValues"] = "false"
    return {"triggers": [{"type": "prometheus", "name": "own", "metricType": "AverageValue", "metadata": metadata}]}


@dataclass(frozen=True)
class Fault:
    """One fault of one model. `loads` are in flight after it has begun, one after the other; the last one stays."""

    begin: Change = _nothing
    end: Change = _nothing
    loads: tuple[float, ...] = (0.0,)
    prometheus: str = HEALTHY
    autoscaling: Mapping[str, Any] = field(default_factory=dict)
    own_query: bool = False


FAULTS: Mapping[str, Fault] = {
    "prometheus-down": Fault(prometheus=KILLED),
    "long-outage": Fault(prometheus=KILLED, loads=(BUSY,)),
    "rules-stopped": Fault(prometheus=STOPPED),
    "no-pod-scraped": Fault(_scraped(frozenset()), _scraped(PODS)),
    "one-pod-unscraped": Fault(_scraped(frozenset({0})), _scraped(PODS), loads=(BUSY,)),
    "no-requests": Fault(autoscaling={"target": {"inFlight": PER_INSTANCE, "p95": "500ms"}}),
    # With KEDA the control plane of these models never answers: there is none.
    "control-plane": Fault(_wanted(None), _wanted(1), loads=(MORE, 0.0), autoscaling={"wanted": True}),
    "one-trigger": Fault(_own(frozenset()), _own(frozenset({0})), loads=(MORE, 0.0), own_query=True),
    "several-series": Fault(_own(PODS), _own(frozenset({0})), loads=(MORE, 0.0), own_query=True),
}
"""By the name of the model."""


@dataclass(frozen=True)
class Outcome:
    """What a model's Deployment did: during the fault, after it under the last load, and the conditions of its
    ScaledObject at the end of the fault. Times are in seconds since the fault began."""

    during: Sequence[Sample]
    after: Sequence[Sample]
    conditions: Mapping[str, str]

    @property
    def fewest(self) -> int:
        """The fewest instances during the fault."""
        return min(one.wanted for one in self.during)

    @property
    def most(self) -> int:
        """The most instances during the fault."""
        return max(one.wanted for one in self.during)

    @property
    def left(self) -> int:
        """The instances at the end of the fault."""
        return self.during[-1].wanted


@dataclass(frozen=True)
class Parts:
    """What runs beside the autoscaler."""

    world: Simulated
    prometheus: Mapping[str, Prometheus]


def with_keda(cluster: Cluster, folder: Path) -> dict[str, Outcome]:
    """What happens with `kind: keda`. The last two are those of KEDA itself."""
    with _parts(cluster, folder, "faults-keda") as parts, running_keda(cluster, folder) as keda:
        models = {}
        for name, fault in FAULTS.items():
            url = parts.prometheus[fault.prometheus].url
            own = _own_query(name, url) if fault.own_query else {}
            models[name] = (url, {**fault.autoscaling, **own})
        with deployed(parts.world, folder, models):
            # Without a control plane nothing tells what the rollout wants, so these instances are never removed.
            found = _play(parts, FAULTS, conditions=parts.world.conditions, kept=("control-plane",))
            for child in (keda.adapter, keda.operator):
                found[child.name] = _without(parts.world, "no-requests", child.kill, child.start)
            return found


def with_hpa(cluster: Cluster, folder: Path) -> dict[str, Outcome]:
    """What happens with `kind: hpa` and an adapter. The last one is that of the adapter."""
    faults = {name: fault for name, fault in FAULTS.items() if not fault.own_query}
    with _parts(cluster, folder, "faults-hpa") as parts:
        urls = {name: parts.prometheus[fault.prometheus].url for name, fault in faults.items()}
        base = {"kind": "hpa", "cpuPercent": 0}
        models = {name: (urls[name], {**base, **fault.autoscaling}) for name, fault in faults.items()}
        with running_adapter(cluster, urls.__getitem__) as adapter, deployed(parts.world, folder, models):
            found = _play(parts, faults, conditions=lambda _: {})
            found["adapter"] = _without(parts.world, "no-requests", adapter.kill, adapter.start)
            return found


@contextmanager
def _parts(cluster: Cluster, folder: Path, namespace: str) -> Iterator[Parts]:
    with simulated(cluster, namespace) as world, ExitStack() as stack:
        options = {HEALTHY: (), KILLED: (), STOPPED: (f"--query.lookback-delta={LOOKBACK}",)}
        found = {
            name: stack.enter_context(scraping_simulated(world, folder / name, more)) for name, more in options.items()
        }
        yield Parts(world, found)


def _play(
    parts: Parts,
    faults: Mapping[str, Fault],
    *,
    conditions: Callable[[str], Mapping[str, str]],
    kept: Sequence[str] = (),
) -> dict[str, Outcome]:
    """Play these faults at the same time, from one instance back to one; of the models of `kept` none is removed."""
    world, samples = parts.world, parts.world.samples
    for name in faults:
        world.models[name].wanted = 1
        _load(world, name, BUSY)
    _wait_for(world, faults, NEEDED)
    began = {name: samples[name].now for name in faults}
    _begin(parts, faults)
    time.sleep(BEGUN_S)
    for step in range(max(len(fault.loads) for fault in faults.values())):
        loads = {name: fault.loads[min(step, len(fault.loads) - 1)] for name, fault in faults.items()}
        for name, load in loads.items():
            _load(world, name, load)
        _wait_for(world, [name for name, load in loads.items() if load == MORE], MOST)
    time.sleep(HELD_S)
    found = {name: conditions(name) for name in faults}
    ended = {name: samples[name].now for name in faults}
    _end(parts, faults)
    time.sleep(RETURNED_S)
    after = {name: samples[name].since(ended[name]) for name in faults}
    for name in faults:
        _load(world, name, 0)
    _wait_for(world, [name for name in faults if name not in kept], 1)
    return {
        name: Outcome(
            [_relative(one, began[name]) for one in samples[name].since(began[name]) if one.at < ended[name]],
            [_relative(one, began[name]) for one in after[name]],
            found[name],
        )
        for name in faults
    }


def _without(world: Simulated, model: str, kill: Callable[[], object], start: Callable[[], object]) -> Outcome:
    """A process is killed, then the load of a model ends, and then the process runs again: from one instance to one."""
    samples = world.samples[model]
    _load(world, model, BUSY)
    _wait_for(world, [model], NEEDED)
    began = samples.now
    kill()
    _load(world, model, 0)
    samples.stay(HELD_S)
    ended = samples.now
    start()
    _wait_for(world, [model], 1)
    during = [_relative(one, began) for one in samples.since(began) if one.at < ended]
    return Outcome(during, [_relative(one, began) for one in samples.since(ended)], {})


def _begin(parts: Parts, faults: Mapping[str, Fault]) -> None:
    stopped = parts.prometheus[STOPPED]
    stopped.reload(stopped.scrapes, [scraping.never_evaluated()])
    parts.prometheus[KILLED].kill()
    for name, fault in faults.items():
        fault.begin(parts.world.models[name])


def _end(parts: Parts, faults: Mapping[str, Fault]) -> None:
    stopped = parts.prometheus[STOPPED]
    stopped.reload(stopped.scrapes, stopped.rules)
    parts.prometheus[KILLED].start()
    for name, fault in faults.items():
        fault.end(parts.world.models[name])


def _load(world: Simulated, model: str, in_flight: float) -> None:
    world.models[model].in_flight = lambda: in_flight


def _wait_for(world: Simulated, models: Sequence[str] | Mapping[str, object], wanted: int) -> None:
    for name in models:
        samples = world.samples[name]
        what = f"{name} has {wanted} instances"
        try:
            wait_until(lambda: samples.last.wanted == wanted, what, within=SOON_S, every=0.1)  # noqa: B023 - called here
        except AssertionError as failed:
            raise AssertionError(f"{failed}; {changes(samples.since(0))}") from None


def _relative(sample: Sample, began: float) -> Sample:
    return Sample(round(sample.at - began, 2), sample.wanted, sample.ready)
