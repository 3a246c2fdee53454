"""A guarded rollout while the autoscaler works: the load changes in its middle, and the release is upgraded meanwhile.

Both scenes begin and end with one instance and no load. Latency is a guard here, so that a pod that has just started
and answers slowly would be evidence against its version.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from fairlead.contracts.revision import Cause, Revision, Verdict
from support.autoscaling.loop import MOST, NAME, NEXT, VERSION, Loop
from support.autoscaling.samples import EVERY_S, Sample, Samples, changes
from support.autoscaling.scenes import BUSY, NEEDED, SOON_S
from support.load.open_loop import OpenLoop
from support.load.summary import Summary
from support.processes import wait_until
from support.proof import Findings

CALM = 5.0
"""Requests per second that one instance answers: 1 in flight."""
FIRST, SECOND, ALL = 2500, 5000, 10_000
GATES = [{"name": "latency", "role": "guard"}]
RISING: Mapping[str, Any] = {
    "gates": GATES,
    "steps": [{"weight": FIRST, "minDuration": "5s"}, {"weight": SECOND, "minDuration": "5s"}],
}
"""A rollout that ends with the promotion."""
FALLING: Mapping[str, Any] = {
    "gates": GATES,
    "steps": [{"weight": FIRST, "minDuration": "5s"}, {"weight": SECOND, "minDuration": "10m"}],
}
"""A rollout that stays at its second step."""
SEEN_S = 2.0
"""How old the instances may be by which the control plane decided: it looks every second."""
LATE_S = 2 * EVERY_S
"""How much later than the control plane the samples may show an instance that it saw ready."""


@dataclass(frozen=True)
class Step:
    """One step of a rollout: the candidate's weight, the instances it needs for that, and those that were ready."""

    weight: int
    needed: int
    ready: int


@dataclass(frozen=True)
class Rollout:
    """The steps of a rollout, and the gates that failed in it with what they undid."""

    steps: Sequence[Step]
    against: Sequence[str]


def rises_in_a_rollout(loop: Loop, found: Findings) -> None:
    """The load rises at the first weight. The candidate is promoted, and then the version before is asked for again."""
    name = "a rollout, and the load rises to 8 times"
    with ExitStack() as stack:
        calm = stack.enter_context(loop.load(CALM))
        candidate, began = _released(loop, stack, RISING)
        busy = stack.enter_context(loop.load(BUSY - CALM))
        loop.samples.wait_for(lambda one: one.wanted >= NEEDED, "the load is seen", within=SOON_S)
        kept = _upgraded(loop, candidate, NEXT, RISING)
        loop.platform.wait_for(NAME, "promoted", stable=NEXT, phase="Stable", within=2 * SOON_S)
        promoted = loop.samples.now
        candidate.wait_for(lambda one: one.ready >= NEEDED, "the promoted version has its instances", within=SOON_S)
        before = loop.samples.last
        loop.platform.fairlead("rollback", NAME)
        loop.platform.wait_for(NAME, "rolled back", stable=VERSION, phase="Stable", within=SOON_S)
        loop.samples.stay(3)
        ready = min(one.ready for one in loop.samples.since(promoted))
        rollout = _rollout(loop, candidate, began)
        summaries = _ended(calm, busy)
    _claim(found, name, rollout, kept, summaries, weights=(FIRST, SECOND, ALL))
    found.claim(
        f"{name}: ready instances of the version before, from the promotion until it serves again",
        f"at least {NEEDED}, none is added for the rollback",
        f"{ready}, of {before.wanted} wanted",
        ready >= NEEDED,
    )
    found.numbers.setdefault("rollouts", {})["rising"] = _drawn(loop, candidate, began)
    _calmed(loop)


def falls_in_a_rollout(loop: Loop, found: Findings) -> None:
    """The load falls at the first weight. At the second one its owner rolls back, and the load is back at once."""
    name = "a rollout, and the load falls to an eighth"
    with ExitStack() as stack:
        calm, busy = stack.enter_context(loop.load(CALM)), stack.enter_context(loop.load(BUSY - CALM))
        loop.samples.wait_for(lambda one: one.ready >= NEEDED, f"{NEEDED} instances are ready", within=SOON_S)
        loop.samples.stay(5)
        candidate, began = _released(loop, stack, FALLING)
        busy.stop()
        kept = _upgraded(loop, candidate, NEXT, FALLING)
        loop.platform.wait_for(NAME, "half", candidate=NEXT, weight=SECOND, within=2 * SOON_S)
        loop.samples.stay(15)  # longer than the stabilisation
        full = loop.samples.last.wanted
        again = stack.enter_context(loop.load(BUSY - CALM))
        loop.platform.fairlead("rollback", NAME)
        loop.platform.wait_for(NAME, "rolled back", stable=VERSION, phase="Stable", within=SOON_S)
        ready = min(one.ready for one in loop.samples.since(began))
        loop.samples.stay(3)
        rollout = _rollout(loop, candidate, began)
        summaries = _ended(calm, busy, again)
    _claim(found, name, rollout, kept, summaries, weights=(FIRST, SECOND))
    found.claim(
        f"{name}: fewest ready instances of stable until the rollback, and wanted then",
        f"at least {NEEDED}, though the load of then needs 1",
        f"{ready}, {full}",
        ready >= NEEDED and full >= NEEDED,
    )
    found.numbers.setdefault("rollouts", {})["falling"] = _drawn(loop, candidate, began)
    _calmed(loop)


def _released(loop: Loop, stack: ExitStack, strategy: Mapping[str, Any]) -> tuple[Samples, float]:
    """Release the next version, until it has its first weight. Returns its samples, and when that began."""
    began = loop.samples.now
    rejected = {one.ref.version for one in loop.platform.history(NAME)[-1].state.rejected}
    loop.deploy(NEXT, strategy)
    if NEXT in rejected:  # an earlier scene rolled it back
        loop.platform.fairlead("retry", NAME)
    wait_until(lambda: bool(loop.platform.of_version("deployments", NAME, NEXT)), "the Deployment exists", every=0.2)
    candidate = stack.enter_context(loop.sampling(NEXT))
    loop.platform.wait_for(NAME, "the first weight", candidate=NEXT, weight=FIRST, within=2 * SOON_S)
    return candidate, began


def _upgraded(loop: Loop, candidate: Samples, released: str, strategy: Mapping[str, Any]) -> bool:
    """Upgrade the Helm release with another value. Returns whether both versions kept the instances that they need.

    What a version has beyond that is the noise of a short window, and the autoscaler may remove it at any time.
    """
    least = [
        (samples, samples.now, min(samples.last.wanted, needed))
        for samples, needed in ((loop.samples, NEEDED), (candidate, math.ceil(NEEDED * SECOND / ALL)))
    ]
    loop.deploy(released, strategy, maxInstances=MOST + 1)
    loop.samples.stay(1)
    return all(min(one.wanted for one in samples.since(at)) >= needed for samples, at, needed in least)


def _rollout(loop: Loop, candidate: Samples, began: float) -> Rollout:
    """The rollout that began then, with the instances at the time of each step."""
    now = time.time()
    mine, other = _clock(loop.samples, now), _clock(candidate, now)
    since = [one for one in loop.platform.history(NAME) if one.created_at.timestamp() >= now - loop.samples.now + began]
    steps: list[Step] = []
    for one in since:
        at, weight = one.created_at.timestamp(), _share(one)
        if not weight or weight in {it.weight for it in steps}:
            continue
        stable = [sample.wanted for sample in mine(at - SEEN_S, at)]
        ready = [sample.ready for sample in other(at - SEEN_S, at + LATE_S)]
        steps.append(Step(weight, math.ceil(weight * min(stable) / ALL), max(ready)))
    failed = [f"{check.gate} in {one.id}" for one in since for check in one.evidence if check.verdict is Verdict.FAIL]
    undone = [one.reason for one in since if one.cause is Cause.ROLLED_BACK and not one.action]
    return Rollout(steps, [*failed, *undone])


def _share(revision: Revision) -> int:
    """The next version's share of the requests in this table."""
    table = revision.table
    if table.stable.version == NEXT:
        return ALL
    return table.weight


def _clock(samples: Samples, now: float) -> Callable[[float, float], Sequence[Sample]]:
    """Finds samples by the time of day. While the API server is slow there may be only the one before them."""
    offset = now - samples.now

    def between(since: float, until: float) -> Sequence[Sample]:
        until_then = [one for one in samples.since(0) if one.at <= until - offset]
        return [one for one in until_then if one.at >= since - offset] or until_then[-1:]

    return between


def _ended(*loads: OpenLoop) -> list[Summary]:
    for one in loads:
        one.stop()
    return [one.result() for one in loads]


def _claim(
    found: Findings,
    name: str,
    rollout: Rollout,
    kept: bool,
    summaries: Sequence[Summary],
    *,
    weights: Sequence[int],
) -> None:
    steps = rollout.steps
    sent, failed = sum(one.sent for one in summaries), sum(one.failed for one in summaries)
    shown = ", ".join(f"{one.weight / 100:g} %: {one.ready} of {one.needed}" for one in steps)
    enough = all(one.ready >= one.needed for one in steps)
    found.claim(f"{name}: requests that failed", "0", f"{failed} of {sent}", not failed)
    found.claim(
        f"{name}: ready instances of the candidate when it gets a weight",
        "what its share of stable's needs",
        shown,
        enough and [one.weight for one in steps] == list(weights),
    )
    what = f"{name}: evidence against a version whose instances start meanwhile"
    found.claim(what, "none", "; ".join(rollout.against) or "none", not rollout.against)
    found.claim(f"{name}: an upgrade of the release meanwhile resets a number", "no", "no" if kept else "yes", kept)


def _drawn(loop: Loop, candidate: Samples, began: float) -> dict[str, Any]:
    return {"stable": changes(loop.samples.since(began)), "candidate": changes(candidate.since(0))}


def _calmed(loop: Loop) -> None:
    loop.deploy()
    loop.samples.wait_for(lambda one: one.wanted == 1, "one instance is left", within=2 * SOON_S)
