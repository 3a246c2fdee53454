"""What is shown of the loop, scene by scene. Each begins and ends with one instance and no load."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from support.autoscaling import scraping
from support.autoscaling.loop import MOST, NAME, NEXT, PER_INSTANCE, STABLE_S, VERSION, Loop
from support.autoscaling.samples import changes
from support.load.summary import Summary
from support.processes import Child
from support.proof import Findings

QUIET, BUSY = 3.0, 40.0
"""Requests per second. A call takes 0.2 s, so 40 requests per second keep 8 in flight."""
NEEDED = 4
"""The instances that this load needs. The noise of a short window adds others, which may go during a fault, too: the
autoscaler goes by the last 10 s, and most of these may be from before it."""
SOON_S = 90.0
"""How long something may take that must happen. The proof measures how long it took."""


def load_moves_instances(loop: Loop, found: Findings) -> None:
    """A step of the load up, an upgrade of the release, and a step down."""
    loop.samples.wait_for(lambda one: (one.wanted, one.ready) == (1, 1), "one instance", within=SOON_S)
    with loop.load(QUIET):
        calm = loop.samples.stay(5)
    with loop.load(BUSY) as load:
        stepped = loop.samples.now
        wanted = loop.samples.wait_for(lambda one: one.wanted >= NEEDED, "4 instances are wanted", within=SOON_S)
        ready = loop.samples.wait_for(lambda one: one.ready >= NEEDED, "4 instances are ready", within=SOON_S)
        upgraded, before = loop.samples.now, loop.samples.last.wanted
        loop.deploy(maxInstances=MOST + 1)
        kept = min(one.wanted for one in [*loop.samples.since(upgraded), *loop.samples.stay(8)])
        fell = loop.samples.now  # here, and not when the result has been read, which takes a part of a second
        load.stop()
        summary = load.result()
    less = loop.samples.wait_for(lambda one: one.wanted < NEEDED, "instances are removed", within=SOON_S)
    least = loop.samples.wait_for(lambda one: one.wanted == 1, "one instance is left", within=SOON_S)
    found.claim("instances before the step", "1", max(one.wanted for one in calm), all(one.wanted == 1 for one in calm))
    found.claim(
        "load 3 to 40 requests/s: seconds until 4 instances are wanted, and ready",
        f"below {SOON_S:g}",
        f"{wanted.at - stepped:.1f}, {ready.at - stepped:.1f}",
        ready.at - stepped < SOON_S,
    )
    failed = f"{summary.failed} of {summary.sent} {summary.failures or ''}".strip()
    found.claim("requests that failed while instances were added", "0", failed, not summary.failed)
    what = "an upgrade of the release under load: instances before, fewest"
    found.claim(what, f"at least {NEEDED}", f"{before}, {kept}", kept >= NEEDED)
    found.claim(
        "load to 0: seconds until the first of the 4 instances is removed, and until 1 is left",
        f"at least {STABLE_S:g}",
        f"{less.at - fell:.1f}, {least.at - fell:.1f}",
        less.at - fell >= STABLE_S,
    )
    found.numbers["step"] = changes(loop.samples.since(stepped - 5))


@dataclass(frozen=True)
class Fault:
    """One row of the table of faults. `begin` makes it, `end` repairs it."""

    name: str
    begin: Callable[[Loop], None]
    end: Callable[[Loop], None]


def _without_targets(loop: Loop) -> None:
    loop.prometheus.reload((), loop.prometheus.rules)


def _not_numbers(loop: Loop) -> None:
    loop.prometheus.reload(loop.prometheus.scrapes, [scraping.not_numbers()])


def _unscraped(loop: Loop) -> None:
    pod = loop.platform.of_version("pods", NAME, VERSION)[0]["metadata"]["name"]
    loop.prometheus.reload([scraping.without_pod(one, pod) for one in loop.prometheus.scrapes], loop.prometheus.rules)


def _repaired(loop: Loop) -> None:
    loop.prometheus.reload(loop.prometheus.scrapes, loop.prometheus.rules)


def _control_planes(count: int) -> Callable[[Loop], None]:
    def scale(loop: Loop) -> None:
        loop.platform.kube("scale", "deployment/fairlead-control-plane", f"--replicas={count}")

    return scale


PROMETHEUS_DOWN = Fault(
    "Prometheus is killed", lambda loop: loop.prometheus.kill(), lambda loop: loop.prometheus.start()
)
FAULTS = (
    PROMETHEUS_DOWN,
    Fault("nothing is scraped: no series", _without_targets, _repaired),
    Fault("the series are not numbers", _not_numbers, _repaired),
    Fault("KEDA's adapter is killed", lambda loop: loop.keda.adapter.kill(), lambda loop: _start(loop.keda.adapter)),
    Fault("no control plane answers", _control_planes(0), _control_planes(2)),
    Fault("KEDA's operator is killed", lambda loop: loop.keda.operator.kill(), lambda loop: _start(loop.keda.operator)),
)
UNSCRAPED = Fault("one pod of several is not scraped", _unscraped, _repaired)


def _start(child: Child) -> None:
    child.start()


def under_fault(loop: Loop, fault: Fault, found: Findings, *, seconds: float) -> None:
    """The loop breaks and the load ends, while several instances run: until the repair, none may be removed."""
    with loop.load(BUSY):
        loop.samples.wait_for(lambda one: one.ready >= NEEDED, "4 instances are ready", within=SOON_S)
        loop.samples.stay(5)
        before, began = loop.samples.last.wanted, loop.samples.now
        fault.begin(loop)
        loop.samples.stay(3)
    loop.samples.stay(seconds)
    conditions, during = loop.conditions(), loop.samples.since(began)
    fault.end(loop)
    repaired = loop.samples.now
    back = loop.samples.wait_for(lambda one: one.wanted == 1, f"{fault.name}, repaired: 1 left", within=2 * SOON_S)
    wanted = [one.wanted for one in during]
    found.claim(
        f"{fault.name}, then the load ends: instances before, fewest and most in {seconds:g} s",
        f"at least {NEEDED}",
        f"{before}, {min(wanted)}, {max(wanted)}",
        min(wanted) >= NEEDED,
    )
    found.note(f"{fault.name}: seconds from the repair until 1 is left", f"{back.at - repaired:.1f}")
    found.numbers.setdefault("faults", {})[fault.name] = {"changes": changes(during), "conditions": conditions}


def under_load(loop: Loop, fault: Fault, found: Findings, *, seconds: float) -> None:
    """The loop breaks and the load stays. What the instances do is only reported."""
    with loop.load(BUSY):
        loop.samples.wait_for(lambda one: one.ready >= NEEDED, "4 instances are ready", within=SOON_S)
        loop.samples.stay(5)
        before, began = loop.samples.last.wanted, loop.samples.now
        fault.begin(loop)
        loop.samples.stay(seconds)
        during = loop.samples.since(began)
        fault.end(loop)
    loop.samples.wait_for(lambda one: one.wanted == 1, f"{fault.name}, repaired: 1 left", within=2 * SOON_S)
    wanted = [one.wanted for one in during]
    what = f"{fault.name}, under a constant load: instances before, fewest and most in {seconds:g} s"
    found.note(what, f"{before}, {min(wanted)}, {max(wanted)}")
    found.numbers.setdefault("faults", {})[fault.name] = {"changes": changes(during)}


def without_load(loop: Loop, fault: Fault, found: Findings, *, seconds: float) -> None:
    """The loop breaks while one instance runs without load. What the instances do is only reported."""
    fault.begin(loop)
    wanted = [one.wanted for one in loop.samples.stay(seconds)]
    fault.end(loop)
    loop.samples.wait_for(lambda one: one.wanted == 1, f"{fault.name}, repaired: 1 left", within=2 * SOON_S)
    found.note(f"{fault.name}, 1 instance and no load: most instances in {seconds:g} s", max(wanted))


def slow_answers_raise(loop: Loop, found: Findings) -> None:
    """The p95 alone above its target, then no request at all, then p95 far below its target under load."""
    loop.deploy(target={"inFlight": 1000, "p95": "100ms"})
    with loop.load(QUIET):
        stepped = loop.samples.now
        high = loop.samples.wait_for(lambda one: one.wanted > 1, "p95 adds instances", within=SOON_S)
        loop.samples.stay(5)
    idle = loop.samples.now
    low = loop.samples.wait_for(lambda one: one.wanted == 1, "an idle model is not held up by its p95", within=SOON_S)
    loop.deploy(target={"inFlight": PER_INSTANCE, "p95": "9s"})
    with loop.load(BUSY):
        loop.samples.wait_for(lambda one: one.wanted >= NEEDED, "4 instances by load", within=SOON_S)
        least = min(one.wanted for one in loop.samples.stay(STABLE_S + 10))
    loop.deploy()
    loop.samples.wait_for(lambda one: one.wanted == 1, "one instance is left", within=SOON_S)
    for what, seconds in (
        ("p95 above its target: seconds until instances are added", high.at - stepped),
        ("no request after that: seconds until 1 instance is left", low.at - idle),
    ):
        found.claim(what, f"below {SOON_S:g}", f"{seconds:.1f}", seconds < SOON_S)
    found.claim("p95 far below its target, and load: fewest instances", f"at least {NEEDED}", least, least >= NEEDED)


def rollout_wins(loop: Loop, found: Findings) -> None:
    """A rollout begins while Prometheus is down, and the load ends in its middle."""
    with loop.load(BUSY):
        loop.samples.wait_for(lambda one: one.ready >= NEEDED, "4 instances are ready", within=SOON_S)
        loop.prometheus.kill()
        before = loop.samples.last.wanted
        began = loop.samples.now
        loop.deploy(NEXT)
        loop.platform.wait_for(NAME, "the candidate has half", candidate=NEXT, weight=5000, within=2 * SOON_S)
        took, candidate = loop.samples.now - began, loop.instances(NEXT)
    loop.prometheus.start()
    least = min(one.wanted for one in loop.samples.stay(STABLE_S + 15))
    kept = loop.instances(NEXT)
    loop.platform.fairlead("rollback", NAME)
    ended = loop.samples.now
    last = loop.samples.wait_for(lambda one: one.wanted == 1, "one instance is left", within=2 * SOON_S)
    loop.deploy()
    needed = math.ceil(before / 2)
    found.claim(
        f"Prometheus is down, {before} instances, a release: the candidate's instances at its weight of 50 %",
        f"at least {needed}",
        f"{candidate}, after {took:.0f} s",
        candidate >= needed,
    )
    found.claim(
        "the load ends in this rollout: fewest instances of stable, and those of the candidate",
        f"{before}, at least {needed}",
        f"{least}, {kept}",
        least >= before and kept >= needed,
    )
    found.note("seconds from the rollback until 1 instance of stable is left", f"{last.at - ended:.0f}")


def nobody_failed(loop: Loop, found: Findings) -> None:
    """The requests of all scenes before this one, and of each failure the answer and when it came."""
    loads = [one.result() for one in loop.loads]
    sent, failed = sum(one.sent for one in loads), sum(one.failed for one in loads)
    found.claim("requests that failed, in all scenes", "0", f"{failed} of {sent}", not failed)
    found.numbers["failures"] = [_failures(one) for one in loads if one.failed]


def _failures(load: Summary) -> dict[str, Any]:
    """The failed requests of one load, in seconds since it began, and the first answer of each kind."""
    when = (load.scheduled[~np.isin(load.outcome, [200])] - load.scheduled[0]) / 1e9
    return {
        "rate": load.rate,
        "sent": load.sent,
        "failed": load.failures,
        "from": round(float(when.min()), 1),
        "to": round(float(when.max()), 1),
        "answers": dict(load.samples),
    }
