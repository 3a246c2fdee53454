"""A real platform on which four things happen at the same time, each to a model of its own, and a Prometheus beside it.

A rollout that is promoted, a candidate that fails and is rolled back, a model whose inputs and labels change, and one
that gets more requests and then more instances. The numbers of an autoscaler are made up from the real load, as
`outside` says; what it wants is then deployed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fairlead.contracts.revision import Cause
from fairlead.contracts.route import RouteSpec
from monitoring.recording import Records
from monitoring.rule_files import alerting_rules, recording_rules
from monitoring.settings import DEFAULT, Burn, Drift, Quality
from support.drift.doublers import measure
from support.drift.loans import Applicants, loans
from support.drift.requests import Drawn
from support.faults import folders
from support.load.open_loop import OpenLoop
from support.monitoring.outside import PODS, Outside, outside_world
from support.platform import Platform, doublers, running_platform
from support.processes import wait_until
from support.prometheus import Prometheus, from_files, running_prometheus

FIRST, NEXT = "1.0.0", "1.1.0"
ROLLOUT, FAILING, DRIFTED, GROWING = "rents", "fraud", "loans", "prices"
"""The models, by what happens to them."""
WINDOW, INTERVAL = "10s", "2s"
SETTINGS = replace(
    DEFAULT,
    window=WINDOW,
    burns=(Burn(14.4, "20s", WINDOW, "page"), Burn(1, "40s", "20s", "ticket")),
    least_failures=1,
    drift=Drift(windows=(("20s", "2s"), ("60s", "2s")), shown_rows=20),
    quality=Quality(window="20s", every="2s"),
)
RECORDS = Records(SETTINGS)
CALL_MS = 8
"""How long a call takes of the model that gets more requests."""
SHIFT = 3.0
"""By how much the incomes rise: one and a half standard deviations."""


@dataclass(frozen=True)
class Plan:
    """How long things last, in seconds, and how many requests a second each model gets; `more` after its rise."""

    calm_s: float
    good_s: float
    after_s: float
    step_s: int
    rate: float
    more: float


@dataclass(frozen=True)
class Played:
    """What is left when all has happened: everything still runs. It took `seconds`, until the time `ended`."""

    platform: Platform
    prometheus: Prometheus
    seconds: float
    ended: float


@contextmanager
def played(folder: Path, plan: Plan) -> Iterator[Played]:
    """Let all of it happen."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(os.environ, {"FAIRLEAD_SERVING_FEEDBACK_BYTES": "65536"}))
        platform = stack.enter_context(running_platform(folder, _models(folder, plan)))
        outside = stack.enter_context(outside_world())
        scrapes = [{**from_files(folder / ".fairlead" / "prometheus-targets.json"), **PODS}, outside.scrape]
        rules = [recording_rules(SETTINGS), alerting_rules(SETTINGS)]
        prometheus = stack.enter_context(
            running_prometheus(folder / "prometheus", scrapes, interval=INTERVAL, rules=rules)
        )
        stack.enter_context(outside.reading(prometheus, RECORDS.scaling_in_flight))
        began = time.time()
        _play(stack, platform, prometheus, outside, plan)
        ended = time.time()
        yield Played(platform, prometheus, ended - began, ended)


def _models(folder: Path, plan: Plan) -> dict[str, dict[str, Any]]:
    step = f"{plan.step_s}s"
    steps = [{"weight": weight, "minDuration": step} for weight in (1000, 3000, 5000)]
    rollout = {"steps": steps, "shadow": {"share": 10000, "minDuration": step, "minPairs": 20}, "minRequests": 0}
    held = {**rollout, "steps": [{"weight": 3000, "minDuration": "30m"}]}
    even = {"steps": [{"weight": 5000, "minDuration": "30m"}], "minRequests": 0}
    models = doublers(folder, FIRST, NEXT, model=ROLLOUT, strategy=rollout)
    models |= doublers(folder, FIRST, NEXT, model=FAILING, strategy=held)
    models |= doublers(folder, FIRST, model=GROWING)
    for model, version in ((ROLLOUT, FIRST), (ROLLOUT, NEXT), (FAILING, FIRST), (FAILING, NEXT), (GROWING, FIRST)):
        measure(folder / "models" / model / version)
    folders.behave(folder / "models" / GROWING / FIRST, slow_ms=CALL_MS)
    return models | loans(folder / "models", DRIFTED, FIRST, NEXT, strategy=even)


def _play(stack: ExitStack, platform: Platform, prometheus: Prometheus, outside: Outside, plan: Plan) -> None:
    def load(model: str, rate: float, request: Any = None) -> OpenLoop:
        sent = request or Drawn(model, strange=0)
        return stack.enter_context(OpenLoop(platform.url, rate=rate, seconds=600, request=sent))

    for model in (ROLLOUT, FAILING):
        load(model, plan.rate)
    few = load(GROWING, plan.rate / 4)
    both = 2 * plan.rate
    applicants = load(DRIFTED, both, Applicants(DRIFTED, (FIRST,), both))
    prometheus.wait_for(f"count({RECORDS.requests} > 0) >= 4", "every model gets requests")
    outside.look(prometheus)
    time.sleep(plan.calm_s)
    for model in (ROLLOUT, FAILING, DRIFTED):
        _asked(platform, model, lambda spec: {"target": spec.target.model_copy(update={"version": NEXT})})
    platform.wait_for(DRIFTED, "the candidate has its share", weight=5000)
    applicants.stop()
    applicants = load(DRIFTED, both, Applicants(DRIFTED, (FIRST, NEXT), both))
    platform.wait_for(FAILING, "the candidate has its share", weight=3000)
    outside.look(prometheus)
    time.sleep(plan.good_s)
    applicants.stop()
    load(DRIFTED, both, Applicants(DRIFTED, (FIRST, NEXT), both, SHIFT))
    folders.behave(folder_of(platform, FAILING, NEXT), fail=0.3)
    few.stop()
    load(GROWING, plan.more)
    time.sleep(plan.good_s)
    _asked(platform, GROWING, _with_instances)
    _has_happened(platform, prometheus, outside)
    time.sleep(plan.after_s)


def _has_happened(platform: Platform, prometheus: Prometheus, outside: Outside) -> None:
    ready = f'fairlead_control_ready_instances{{model="{GROWING}",role="stable"}} == 3'
    prometheus.wait_for(ready, "there are more instances")
    prometheus.wait_for(f'count(fairlead_model_info{{model="{GROWING}"}}) == 3', "all instances are scraped")
    outside.look(prometheus)
    moved = f'{RECORDS.drift[0].psi}{{model="{DRIFTED}",feature="income"}} > {SETTINGS.drift.input_floor}'
    prometheus.wait_for(moved, "drift is seen")
    for model, cause, what in (
        (FAILING, Cause.ROLLED_BACK, "the failing candidate is rolled back"),
        (ROLLOUT, Cause.PROMOTED, "the good candidate is promoted"),
    ):
        wait_until(lambda model=model, cause=cause: platform.head(model).cause is cause, what, within=120)  # type: ignore[misc]


def _asked(platform: Platform, model: str, change: Callable[[RouteSpec], dict[str, Any]]) -> None:
    """Change the spec of a route as `release` and `deploy` do, but at once: on a busy machine a command takes long."""
    route = platform.store.route(model)
    spec = route.spec.model_copy(update=change(route.spec))
    now = datetime.now(UTC)
    platform.store.put_route(model, spec, now=now, actor="owner", reason="a situation", expected=route.resource_version)


def _with_instances(spec: RouteSpec) -> dict[str, Any]:
    more = spec.versions[FIRST].model_copy(update={"instances": 3})
    return {"versions": {**spec.versions, FIRST: more}}


def folder_of(platform: Platform, model: str, version: str) -> Path:
    """The folder of a version."""
    return platform.folder / "models" / model / version


def choices(model: str) -> Mapping[str, str]:
    """What a reader chooses who looks at this model."""
    feature = "income" if model == DRIFTED else "value"
    return {"namespace": "default", "model": model, "version": ".*", "feature": feature, "__rate_interval": WINDOW}
