"""Sends hostile bodies through the gateway during a canary; what do honest clients, /livez and memory notice?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.contracts.instance import Instance
from fairlead.serving.inference import heap
from support import proof
from support.hostile_attack import Attack, attacked
from support.legal_bodies import cases, longest_turn
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Always, Users, encode
from support.load.summary import Summary
from support.platform import Platform, running_platform

TITLE = "hostile bodies beside honest requests during a canary"
MODEL, STABLE, CANDIDATE = "iris", "1.0.0", "1.1.0"
BUILT = Path(__file__).resolve().parents[2] / "build" / "models" / MODEL
ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
HONEST_RATE, HEALTH_RATE = 50, 20
TURN_MS = 50
MEMORY_MIB = 512
"""The memory limit of the chart."""


@dataclass(frozen=True)
class Plan:
    """The bodies of each protocol, the seconds in which they are sent, and the p99 of /livez that is wanted."""

    bodies: int
    seconds: float
    livez_ms: float


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(1000, 600, 100), "reduced": Plan(50, 60, 500)}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Half of the requests go to the candidate, so both versions get hostile bodies."""
    found, plan = proof.Findings(), PLANS[size]
    if size == "full":  # tests/unit/serving/http/test_large_bodies does the same
        _longest_turns(found)
    versions = {version: {"source": str(BUILT / version)} for version in (STABLE, CANDIDATE)}
    strategy = {"steps": [{"weight": 5000, "minDuration": "1h"}], "minRequests": 0, "warmUp": {"soak": "0s"}}
    models = {MODEL: {"target": STABLE, "versions": versions, "strategy": strategy}}
    with running_platform(folder, models) as platform:
        platform.command("release", MODEL, CANDIDATE)
        canary = platform.wait_for(MODEL, "the candidate has half of the requests", weight=5000)
        instances = sorted(
            (one for one in platform.store.instances() if one.model == MODEL), key=lambda one: one.ref.version
        )
        attacks, honest, health = _under_attack(platform, instances, plan)
        peaks = {one.ref.version: _peak_mib(one) for one in instances}
        _judge(found, plan, attacks, honest, health, peaks)
        same = platform.head(MODEL).table == canary.table
        found.claim("the candidate has its weight afterwards", "yes", "yes" if same else "no", same)
    return found


def _longest_turns(found: proof.Findings) -> None:
    """How long one legal body at the limits keeps the event loop of a service from all else, for many row types."""
    heap.freeze()  # as the service does
    turns = {case.name: round(asyncio.run(longest_turn(case)) * 1000, 1) for case in cases()}
    name = max(turns, key=lambda name: turns[name])
    what = f"{len(turns)} legal bodies at the limits: longest turn of the event loop ({name}), ms"
    found.claim(what, f"at most {TURN_MS}", turns[name], turns[name] <= TURN_MS)
    found.numbers["turn_ms"] = turns


def _under_attack(
    platform: Platform, instances: list[Instance], plan: Plan
) -> tuple[list[Attack], Summary, dict[str, Summary]]:
    """Send the hostile bodies beside honest predictions and questions to /livez of each instance."""
    honest = OpenLoop(
        platform.url,
        rate=HONEST_RATE,
        seconds=plan.seconds + 600,
        request=Users(f"/models/{MODEL}/predict", body=json.dumps(ROW).encode()),
    )
    loads = {
        one.ref.version: OpenLoop(
            f"http://{one.host}:{one.port}",
            rate=HEALTH_RATE,
            seconds=plan.seconds + 600,
            request=Always(encode("GET", "/livez")),
        )
        for one in instances
    }
    with contextlib.ExitStack() as stack:
        for load in (honest, *loads.values()):
            stack.enter_context(load)
        with attacked(platform.url, MODEL, ROW, plan.bodies, plan.seconds) as attacks:
            pass
        for load in (honest, *loads.values()):
            load.stop()
        return attacks, honest.result(), {version: load.result() for version, load in loads.items()}


def _peak_mib(instance: Instance) -> float:
    status = Path(f"/proc/{instance.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return round(int(match[1]) / 1024, 1)


def _judge(
    found: proof.Findings,
    plan: Plan,
    attacks: list[Attack],
    honest: Summary,
    health: Mapping[str, Summary],
    peaks: Mapping[str, float],
) -> None:
    found.claim(f"failed of {honest.sent} honest requests", "0", honest.failed, honest.failed == 0)
    found.note("honest requests, p99, ms", f"{honest.latency_ms(0.99):.0f}")
    for version, load in health.items():
        p99 = load.latency_ms(0.99)
        good = p99 <= plan.livez_ms and not load.failed
        found.claim(f"/livez of {version}, p99, ms", f"at most {plan.livez_ms:.0f}", f"{p99:.0f}", good)
        found.note(f"/livez of {version}, slowest, ms", f"{load.latency_ms(1.0):.0f}")
        peak = peaks[version]
        found.claim(f"peak memory of {version}, MiB", f"at most {MEMORY_MIB}", f"{peak:.0f}", peak <= MEMORY_MIB)
    for attack in attacks:
        what = f"hostile bodies, {attack.protocol}: without an answer, or with 5xx, of {plan.bodies}"
        found.claim(what, "0", attack.failed, attack.failed == 0)
        found.numbers[attack.protocol] = attack.to_json()
    found.numbers["honest"] = honest.to_json()
    found.numbers["livez"] = {version: load.to_json() for version, load in health.items()}
    found.numbers["peak_mib"] = dict(peaks)


if __name__ == "__main__":
    proof.run("hostile_bodies", TITLE, prove)
