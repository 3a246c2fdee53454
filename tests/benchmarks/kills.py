"""Measures what `kill -9` of each process of `fairlead up` costs users, one after the other, under load."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support import proof
from support.load.open_loop import OpenLoop
from support.load.summary import Summary
from support.platform import Platform, doublers, running_platform, users
from support.processes import is_alive, wait_until

TITLE = "kill -9 of the supervisor's children under load"
MODEL, STABLE = "doubler", "1.0.0"


@dataclass(frozen=True)
class Plan:
    """The load, the seconds before and after each kill, and the kills per process."""

    rate: float
    calm_s: float
    times: int


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(300, 3, 5), "reduced": Plan(150, 0.7, 1)}


@dataclass(frozen=True)
class Kill:
    """One kill and its consequences."""

    child: str
    restarted_s: float
    """Seconds until the new process ran, all instances were ready, and gateway and control plane answered."""
    same_revision: bool
    load: Summary


def kill(platform: Platform, child: str, plan: Plan) -> Kill:
    """Kill one child under load, and wait until it has been replaced."""
    before, old = platform.head(MODEL), platform.children()[child]
    with OpenLoop(platform.url, rate=plan.rate, seconds=120, request=users(MODEL), timeout_s=5) as load:
        time.sleep(plan.calm_s)
        began = time.monotonic()
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: not is_alive(old), f"{child} is dead")
        wait_until(lambda: _replaced(platform, child, old), f"{child} has been replaced")
        restarted_s = time.monotonic() - began
        time.sleep(plan.calm_s)
    summary = load.result()
    last = summary.between(int(summary.scheduled[-1]) - round(plan.calm_s * 0.5e9), 2**62)
    same = platform.head(MODEL) == before and set(last.by_revision) == {before.id} and last.failed == 0
    return Kill(child, restarted_s, same, summary)


def _replaced(platform: Platform, child: str, old: int) -> bool:
    new = platform.children().get(child)
    rows = [row for row in platform.store.instances() if row.model == MODEL]
    ready = len(rows) == 2 and all(row.ready for row in rows) and old not in {row.pid for row in rows}
    return new not in (None, old) and ready and platform.gateway_answers() and platform.control_answers()


def judge(kills: list[Kill]) -> proof.Findings:
    """The claims: killing the control plane or an instance costs no request. Failures from killing Envoy are notes."""
    found = proof.Findings()
    for child in dict.fromkeys(one.child for one in kills):
        mine = [one for one in kills if one.child == child]
        failed, sent = sum(one.load.failed for one in mine), sum(one.load.sent for one in mine)
        slowest = max(one.restarted_s for one in mine)
        if child == "gateway":
            found.note(f"{child}: failed of {sent} in {len(mine)} kills", failed)
        else:
            found.claim(f"{child}: failed of {sent} in {len(mine)} kills", "0", failed, not failed)
        same = sum(one.same_revision for one in mine)
        found.claim(f"{child}: serves the same table afterwards", f"{len(mine)} times", same, same == len(mine))
        found.note(f"{child}: back after at most, s", f"{slowest:.2f}")
        found.numbers[child] = [
            {"restarted_s": round(one.restarted_s, 3), "load": one.load.to_json(), "samples": dict(one.load.samples)}
            for one in mine
        ]
    return found


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """One version with two instances: when one is killed, the other must serve all requests."""
    plan = PLANS[size]
    with running_platform(folder, doublers(folder, STABLE, model=MODEL, instances=2)) as platform:
        wait_until(lambda: _replaced(platform, "gateway", 0), "both instances are ready")
        instance = next(name for name in sorted(platform.children()) if name.startswith(MODEL))
        children = ("control-plane", instance, "gateway")
        return judge([kill(platform, child, plan) for _ in range(plan.times) for child in children])


if __name__ == "__main__":
    proof.run("kills", TITLE, prove)
