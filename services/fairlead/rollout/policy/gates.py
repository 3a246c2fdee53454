"""The gates: each a function of the situation, each with a reason for a person.

Pass lets a weight rise. Fail rolls back when the gate is a guard and holds when it is a signal. Inconclusive holds:
what is not known is never evidence, for or against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal

from fairlead.contracts.base import format_duration
from fairlead.contracts.revision import Check, Phase, Verdict
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.rollout.policy.evidence_gates import judge_evidence
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.steps import percent

Gate = Callable[[Situation], Check]
Role = Literal["guard", "signal"]


def ready(situation: Situation) -> Check:
    """The candidate has an instance to answer with. A restart is not a failure; staying away is."""
    count, warm_up = situation.ready(situation.candidate), situation.strategy.warm_up
    version, begun = situation.candidate, situation.head.state.phase is not Phase.PREPARING
    if count:
        soaked = situation.ready_for_s()
        if situation.head.state.phase is Phase.PREPARING and soaked < warm_up.soak:
            return _hold("ready", f"{version} must stay ready for {format_duration(warm_up.soak)}")
        return _pass("ready", f"{version} has {_instances(count)} ready", ready=count)
    if begun:
        away, limit = situation.unready_for_s(), warm_up.restart
    else:
        away, limit = situation.observed_s, warm_up.deadline
    # No running clock in the reasons: a status that says the same is not written again.
    if away > limit:
        return _fail("ready", f"{version} has had no ready instance for {format_duration(limit)}", limit_s=limit)
    return _hold("ready", f"{version} has no ready instance; {format_duration(limit)} are allowed")


def smoke(situation: Situation) -> Check:
    """The candidate answered its golden rows on the way users take."""
    if not situation.strategy.warm_up.smoke:
        return _pass("smoke", "switched off by warmUp.smoke")
    if situation.head.state.phase is not Phase.PREPARING:
        return _pass("smoke", "passed before the first weight")
    return situation.observation.smoke or _hold("smoke", "the golden rows have not been asked yet")


def acknowledged(situation: Situation) -> Check:
    """Every gateway that answers serves the head: a rise on top of an unknown table could skip a step."""
    head, gateways = situation.head, [one for one in situation.observation.gateways if one.reachable]
    behind = [one for one in gateways if one.programmed.get(head.route, 0) < head.seq]
    refused = next((one for one in behind if one.rejected), None)
    if refused is not None:
        return _fail("acknowledged", f"{refused.name} refuses the configuration: {refused.rejected}")
    if not gateways:
        return _hold("acknowledged", "no gateway answers")
    if behind:
        return _hold("acknowledged", f"{behind[0].name} does not serve {head.id} yet", behind=len(behind))
    return _pass("acknowledged", f"{head.id} is served by every gateway", gateways=len(gateways))


def capacity(situation: Situation) -> Check:
    """The candidate has as large a share of the instances as it is to get of the requests."""
    have, weight = situation.ready(situation.candidate), situation.next_weight
    need = max(1, ceil(weight * situation.ready(situation.stable) / TOTAL_WEIGHT))
    if have < need:
        reason = f"{percent(weight)} needs {_instances(need)} of {situation.candidate} ready, there are {have}"
        return _hold("capacity", reason, have=have, need=need)
    return _pass("capacity", f"{_instances(have)} for {percent(weight)}", have=have, need=need)


STATE_GATES: Mapping[str, Gate] = {
    "ready": ready,
    "smoke": smoke,
    "acknowledged": acknowledged,
    "capacity": capacity,
}
"""Gates that look at the world as it is now; `evidence_gates` has those that look at what was counted."""

DEFAULT_ROLES: Mapping[str, Role] = {
    "ready": "guard",  # nobody gets weight who cannot answer, and who stays away loses it
    "smoke": "guard",  # a version that gives other answers than it was built with is not the one that was tested
    "acknowledged": "signal",  # steps are taken one at a time, on every gateway
    "capacity": "signal",  # an autoscaler may be about to help
    "errors": "guard",
    "starved": "guard",
    "rejections": "guard",
}
"""Asked whether or not the spec names them: a weight rises with these or not at all. A spec may change their role."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A gate's check, and what its failing would mean."""

    check: Check
    role: Role


def judge(situation: Situation) -> list[Judged]:
    """What every gate of the route says now: the world first, then the evidence."""
    named = {gate.name: gate for gate in situation.strategy.gates}
    checks = {name: gate(situation) for name, gate in STATE_GATES.items()} | judge_evidence(situation)
    return [
        Judged(
            check, "signal" if (named[name].role if name in named else DEFAULT_ROLES.get(name)) == "signal" else "guard"
        )
        for name, check in checks.items()
    ]


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def _pass(gate: str, reason: str, **numbers: float) -> Check:
    return Check(gate=gate, verdict=Verdict.PASS, reason=reason, numbers=numbers)


def _fail(gate: str, reason: str, **numbers: float) -> Check:
    return Check(gate=gate, verdict=Verdict.FAIL, reason=reason, numbers=numbers)


def _hold(gate: str, reason: str, **numbers: float) -> Check:
    return Check(gate=gate, verdict=Verdict.INCONCLUSIVE, reason=reason, numbers=numbers)
