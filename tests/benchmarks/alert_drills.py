"""Fires every alert of a fault on real processes, and none while nothing is wrong."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support import proof
from support.monitoring.drills import DRILLS, INSTANCES, Drill, promoted, release
from support.monitoring.stage import CALM, FASTER, HOUR_S, INTERVAL, RATE, Stage, passed, running_stage

TITLE = "alert drills: real processes misbehave, and the shipped rules in a real Prometheus say so"
POLL_S = 0.5
SPARE_S = 60.0
"""How long a fault may take until its alert begins to wait, and what a busy machine needs."""


@dataclass(frozen=True)
class Plan:
    """How many hours are healthy, in the time of the rules, and the longest alerts that are waited for, in minutes."""

    healthy_hours: float
    longest_minutes: float


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(1, 120), "reduced": Plan(0.2, 10)}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """First everything is well, then every drill begins, all at the same time and each with a model of its own."""
    plan, found = PLANS[size], proof.Findings()
    drills = [one for one in DRILLS if one.minutes <= plan.longest_minutes]
    with running_stage(folder, *(one.model for one in drills), instances=INSTANCES) as stage:
        _healthy(stage, plan.healthy_hours * HOUR_S, found)
        _drilled(stage, drills, found)
    return found


def _healthy(stage: Stage, seconds: float, found: proof.Findings) -> None:
    began = time.monotonic()
    release(stage, CALM)
    promoted(stage, CALM)
    passed(max(0.0, seconds - (time.monotonic() - began)))
    took = time.monotonic() - began
    fired = stage.fired(took)
    found.claim("alerts while all is well and a release is promoted", "none", _said(fired) or "none", not fired)
    found.note("how long that was, and in the time of the rules", f"{took:.0f} s, {took / HOUR_S:.1f} hours")


def _drilled(stage: Stage, drills: list[Drill], found: proof.Findings) -> None:
    began, begun, first = time.monotonic(), dict[str, float](), dict[tuple[str, str], float]()
    for one in drills:
        begun[one.model] = time.monotonic()
        one.begin(stage)
    due = {(one.model, alert) for one in drills for alert in one.alerts}
    end = time.monotonic() + SPARE_S + 60 * max(one.minutes for one in drills) / FASTER
    while due - first.keys() and time.monotonic() < end:
        for model, alerts in stage.firing().items():
            for alert in alerts:
                first.setdefault((model, alert), time.monotonic() - begun.get(model, began))
        time.sleep(POLL_S)
    for one in drills:
        for alert in one.alerts:
            at = first.get((one.model, alert))
            found.claim(
                f"{one.what}: {alert}", "fires", "silent" if at is None else f"after {at:.0f} s", at is not None
            )
    allowed = {one.model: {*one.alerts, *one.others} for one in drills}
    strange = {
        model: wrong
        for model, alerts in stage.fired(time.monotonic() - began).items()
        if (wrong := alerts - allowed.get(model, set()))
    }
    found.claim("alerts that no drill explains", "none", _said(strange) or "none", not strange)
    found.numbers |= {
        "faster": FASTER,
        "scrape_interval": INTERVAL,
        "requests_per_second": RATE,
        "first_seconds": {f"{model}: {alert}": round(at, 1) for (model, alert), at in sorted(first.items())},
    }


def _said(fired: Mapping[str, set[str]]) -> str:
    return "; ".join(f"{model or 'platform'}: {', '.join(sorted(alerts))}" for model, alerts in sorted(fired.items()))


if __name__ == "__main__":
    proof.run("alert_drills", TITLE, prove)
