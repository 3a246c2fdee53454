"""The gates: each is a function of the situation that returns a verdict with a reason for people.

Pass lets the weight rise. Fail rolls back if the gate is a guard, and holds if it is a signal. Inconclusive holds:
missing knowledge is no evidence, for or against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from fairlead.contracts.acceptance import acceptance_of
from fairlead.contracts.base import format_duration
from fairlead.contracts.revision import Check, Phase, Verdict
from fairlead.contracts.schema_changes import BREAKING
from fairlead.rollout.policy import share
from fairlead.rollout.policy.evidence_gates import judge_evidence
from fairlead.rollout.policy.observation import LOST_GATEWAY_HOLD_S
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.steps import percent
from fairlead.rollout.policy.time_limit import timeouts

Gate = Callable[[Situation], Check]
Role = Literal["guard", "signal"]


def ready(situation: Situation) -> Check:
    """The candidate has a ready instance. A restart is no failure.

    Staying unready for too long is one, and so is that all its instances have failed for good. While nobody knows which
    instances are ready, this holds.
    """
    if situation.observation.unknown:
        return _hold("ready", situation.observation.unknown)
    count, warm_up = situation.ready(situation.candidate), situation.strategy.warm_up
    version, begun = situation.candidate, situation.head.state.phase is not Phase.PREPARING
    if count:
        soaked = situation.ready_for_s()
        if situation.head.state.phase is Phase.PREPARING and soaked < warm_up.soak:
            return _hold("ready", f"{version} must stay ready for {format_duration(warm_up.soak)}")
        return _pass("ready", f"{version} has {_instances(count)} ready", ready=count)
    unready = situation.observation.unready.get(version) if version is not None else None
    if version is not None and unready is not None and unready.for_good:
        return _fail("ready", unready.cannot_be_loaded(situation.route.name, version))
    if begun:
        away, limit = situation.unready_for_s(), warm_up.restart
    else:
        away, limit = situation.observed_s, warm_up.deadline
    # The reasons contain no running time, so that an unchanged status is not written again.
    why = f" ({unready.why})" if unready is not None and unready.why else ""
    if away > limit:
        return _fail("ready", f"{version} has had no ready instance for {format_duration(limit)}{why}", limit_s=limit)
    return _hold("ready", f"{version} has no ready instance{why}; {format_duration(limit)} are allowed")


def smoke(situation: Situation) -> Check:
    """The candidate answered its golden rows, if it has any, sent on the same path as users' requests.

    Where its types break clients of stable, it also waits until somebody has accepted that.
    """
    if not situation.strategy.warm_up.smoke:
        return _pass("smoke", "switched off by warmUp.smoke")
    if situation.head.state.phase is not Phase.PREPARING:
        recorded = (one for one in situation.head.evidence if one.gate == "smoke" and one.verdict is Verdict.PASS)
        return next(recorded, _pass("smoke", "decided before the first weight"))
    seen = situation.observation.smoke
    if seen is None:
        return _hold("smoke", "the golden rows have not been asked yet")
    if seen.verdict is not Verdict.PASS or BREAKING not in seen.numbers:
        return seen
    version, model = situation.candidate, situation.route.name
    accepted = situation.head.state.accepted
    if accepted is not None and accepted.attempt == situation.head.state.attempt:
        return seen.model_copy(update={"reason": f"its breaking types were accepted; {seen.reason}"})
    used = accepted is not None and accepted.text == acceptance_of(situation.route.annotations).text
    for_earlier = f" (what its annotation says was for attempt {accepted.attempt})" if accepted and used else ""
    why = (
        f"{version} breaks clients of {situation.stable} and gets no users until that is accepted{for_earlier}: "
        f"`fairlead release {model} {version} --accept-breaking`; {seen.reason}"
    )
    return _hold("smoke", why, **seen.numbers)


def awaits_acceptance(check: Check) -> bool:
    """Whether the rollout waits until somebody accepts breaking types."""
    return check.gate == "smoke" and check.verdict is Verdict.INCONCLUSIVE and BREAKING in check.numbers


def acknowledged(situation: Situation) -> Check:
    """Every gateway that answers serves the head. Otherwise the next rise could skip a step on a gateway.

    A gateway that stopped answering before it served the head holds for a short time (`lost`), then the others go on.
    """
    head, gateways = situation.head, [one for one in situation.observation.gateways if one.reachable]
    behind = [one for one in gateways if one.programmed.get(head.route, 0) < head.seq]
    refused = next((one for one in behind if one.rejected), None)
    if refused is not None:
        return _fail("acknowledged", f"{refused.name} refuses the configuration: {refused.rejected}")
    if not gateways:
        return _hold("acknowledged", "no gateway answers")
    if behind:
        return _hold("acknowledged", f"{behind[0].name} does not serve {head.id} yet", behind=len(behind))
    lost = [one for one in situation.observation.lost if one.programmed.get(head.route, 0) < head.seq]
    if lost:
        wait = format_duration(LOST_GATEWAY_HOLD_S)
        reason = (
            f"{lost[0].name} stopped answering before it served {head.id}; the others go on without it after {wait}"
        )
        return _hold("acknowledged", reason, lost=len(lost))
    return _pass("acknowledged", f"{head.id} is served by every gateway", gateways=len(gateways))


def capacity(situation: Situation) -> Check:
    """The candidate has enough ready instances for its next weight, in proportion to those that stable should have."""
    have, weight = situation.ready(situation.candidate), situation.next_weight
    need = situation.instances_for(weight)
    if have < need:
        version = situation.candidate
        why = situation.observation.missing.get(version, "") if version is not None else ""
        reason = f"{percent(weight)} needs {_instances(need)} of {version} ready, there are {have}"
        reason += f": {why}" if why else ""
        return _hold("capacity", reason, have=have, need=need)
    return _pass("capacity", f"{_instances(have)} for {percent(weight)}", have=have, need=need)


STATE_GATES: Mapping[str, Gate] = {
    "ready": ready,
    "smoke": smoke,
    "acknowledged": acknowledged,
    "capacity": capacity,
    "timeouts": timeouts,
}
"""Gates on the present state. `evidence_gates` has the gates on counted windows."""

DEFAULT_ROLES: Mapping[str, Role] = {
    "ready": "guard",  # without ready instances a candidate gets no weight, or loses it
    "smoke": "guard",  # other answers than at build time mean that this is not the tested version
    "acknowledged": "signal",  # every gateway takes one step at a time
    "capacity": "signal",  # an autoscaler may add instances
    "timeouts": "signal",  # a limit that stable does not keep says nothing about the candidate
    "errors": "guard",
    "starved": "guard",
    "rejections": "guard",
    "latency": "guard",
    "classes": "guard",
    share.NAME: "signal",  # heavy users are no fault of a version
}
"""Gates that are active even if the spec does not name them, with their roles. A spec may change a role."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A gate's check, and its role: what a failure means."""

    check: Check
    role: Role


def judge(situation: Situation) -> list[Judged]:
    """The checks of all gates of the route: those on the present state, the evidence gates, then `share`."""
    named = {gate.name: gate for gate in situation.strategy.gates}
    checks = {name: gate(situation) for name, gate in STATE_GATES.items()} | judge_evidence(situation)
    if share.NAME not in named or named[share.NAME].role != "off":
        checks[share.NAME] = share.judge_share(situation)
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
