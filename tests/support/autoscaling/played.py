"""Plays half an hour of load in less time, with the chart's own defaults made as much faster, and the loop of
`simulated`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from support.autoscaling.loop import MOST, PER_INSTANCE
from support.autoscaling.samples import Sample, changes
from support.autoscaling.schedules import GOAL, HALF_HOUR, REACTION_S, SCHEDULES, Judged, Schedule, judge
from support.autoscaling.simulated import deployed, scraping_simulated, simulated
from support.cluster.adapter import running_adapter
from support.cluster.installed import CHARTS
from support.cluster.keda import running_keda
from support.cluster.lifecycle import Cluster
from support.processes import PATIENCE_S
from support.proof import Findings

FASTER = 12
"""The window of a minute is 5 s. Prometheus scrapes, and KEDA is asked, as often as a faster clock would have it."""
AUTOSCALERS: dict[str, dict[str, Any]] = {"keda": {}, "hpa": {"kind": "hpa", "cpuPercent": 0}}
"""Values of each kind, beside those that `values` has."""


def behavior(stable_s: float | None, faster: float = FASTER) -> dict[str, Any]:
    """The chart's own `behavior`, with this stabilisation before instances are removed, and with shorter times."""
    values = yaml.safe_load((CHARTS / "model" / "values.yaml").read_text())
    own = values["workload"]["autoscaling"]["behavior"]
    if stable_s is not None:
        own["scaleDown"]["stabilizationWindowSeconds"] = stable_s

    def shorter(rules: dict[str, Any]) -> dict[str, Any]:
        policies = [{**one, "periodSeconds": round(one["periodSeconds"] / faster)} for one in rules["policies"]]
        window = round(rules["stabilizationWindowSeconds"] / faster)
        return {**rules, "stabilizationWindowSeconds": window, "policies": policies}

    return {name: shorter(rules) for name, rules in own.items()}


def play(cluster: Cluster, folder: Path, kind: str, found: Findings) -> None:
    """Play all schedules at the same time, each with a model of its own that has this kind of autoscaler."""
    folder.mkdir()
    own = {one.model: {"behavior": behavior(one.stable_s), **AUTOSCALERS[kind]} for one in SCHEDULES}
    with (
        simulated(cluster, f"schedules-{kind}") as world,
        scraping_simulated(world, folder / "prometheus") as prometheus,
        running_keda(cluster, folder) if kind == "keda" else running_adapter(cluster, lambda _: prometheus.url),
        deployed(world, folder, {name: (prometheus.url, one) for name, one in own.items()}),
    ):
        for one in SCHEDULES:
            # The oracle has what the first moment needs, so the autoscaler gets the time to have it, too.
            world.models[one.model].in_flight = partial(one.in_flight, 0.0)
            first = one.needed(0.0, per_instance=PER_INSTANCE, most=MOST)
            world.samples[one.model].wait_for(_has(first), f"{first} ready", within=PATIENCE_S)
        began = time.monotonic()
        since = {one.model: world.samples[one.model].now for one in SCHEDULES}
        for one in SCHEDULES:
            world.models[one.model].in_flight = _played(one, began)
        time.sleep(HALF_HOUR / FASTER)
        for one in SCHEDULES:
            start = since[one.model]
            during = [replace(it, at=(it.at - start) * FASTER) for it in world.samples[one.model].since(start)]
            _claim(one, kind, during, found)


def _has(instances: int) -> Callable[[Sample], bool]:
    return lambda it: (it.wanted, it.ready) == (instances, instances)


def _played(schedule: Schedule, began: float) -> Callable[[], float]:
    return lambda: schedule.noisy((time.monotonic() - began) * FASTER)


def _claim(schedule: Schedule, kind: str, during: list[Sample], found: Findings) -> None:
    judged: Judged = judge(schedule, during, per_instance=PER_INSTANCE, most=MOST)
    name = f"half an hour with {kind}, {schedule.name}"
    found.claim(
        f"{name}: how often the instances changed their direction",
        f"at most {schedule.turns}",
        judged.turns,
        judged.turns <= schedule.turns,
    )
    missed = f", the goal of {GOAL:g} is missed" if judged.ratio > GOAL else ""
    found.claim(
        f"{name}: instance-seconds, and those of the oracle",
        f"at most {schedule.within:g} times",
        f"{judged.wanted_seconds:.0f}, {judged.oracle_seconds:.0f} ({judged.ratio:.2f} times{missed})",
        judged.ratio <= schedule.within,
    )
    found.note(
        f"{name}: as a multiple of what the load needs, without starts",
        f"{judged.wanted_seconds / judged.needed_seconds:.2f}",
    )
    found.claim(
        f"{name}: most instances",
        f"at least {judged.lasting}, which the load needs for longer than a start takes",
        judged.most,
        judged.most >= judged.lasting,
    )
    found.claim(
        f"{name}: instance-seconds that are missing",
        f"at most {judged.lagging_seconds:.0f}, those of one who knows the load {REACTION_S:g} s later",
        f"{judged.missing_seconds:.0f}",
        judged.missing_seconds <= judged.lagging_seconds,
    )
    found.numbers.setdefault("schedules", {}).setdefault(kind, {})[schedule.model] = {
        "turns": judged.turns,
        "instance seconds": round(judged.wanted_seconds),
        "oracle seconds": round(judged.oracle_seconds),
        "needed seconds": round(judged.needed_seconds),
        "missing seconds": round(judged.missing_seconds),
        "changes": changes(during),
    }
