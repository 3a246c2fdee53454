"""What the engine says of a route: its status document, with every condition and every reason there is.

The document holds no time of its own writing: unless something happened it is the same, and then it is not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from fairlead.contracts.revision import Counts, Revision, Verdict, Window
from fairlead.contracts.route import Route
from fairlead.contracts.status import Condition, Evidence, Gateway, Status, StepStatus
from fairlead.rollout.analysis.counts import EARLY
from fairlead.rollout.policy import steps
from fairlead.rollout.policy.gates import acknowledged
from fairlead.rollout.policy.observation import Decision, Observation
from fairlead.rollout.policy.situation import Situation


class Reason(StrEnum):
    """Every reason a condition can have."""

    SERVING = "Serving"
    NOTHING_READY = "NothingReady"
    NOTHING_RELEASED = "NothingReleased"
    AT_REST = "AtRest"
    ROLLING_OUT = "RollingOut"
    WAITING = "Waiting"
    AWAITING_APPROVAL = "AwaitingApproval"
    PAUSED = "Paused"
    RUNNING = "Running"
    REJECTED = "Rejected"
    ACCEPTED = "Accepted"
    ACKNOWLEDGED = "Acknowledged"
    BEHIND = "Behind"
    COUNTED = "Counted"
    GAP = "Gap"
    OTHER_ROUTE = "OtherRoute"
    UNREADABLE = "Unreadable"


def report(route: Route, head: Revision | None, observation: Observation, decision: Decision) -> dict[str, object]:
    """The route's status after a decision that changes nothing more."""
    if head is None:
        return _before_the_first(route, observation, decision)
    situation = Situation(route, head, observation)
    state, table, plan = head.state, head.table, route.spec.strategy.steps
    step = StepStatus(
        number=state.step + 1,
        of=len(plan),
        entered_at=state.entered_at.isoformat(),
        approved=state.approved >= state.step >= 0,
    )
    roles = {
        "stable": table.stable,
        "candidate": situation.candidate,
        "target": state.target,
        "previous": state.previous,
    }
    return Status(
        route=route.name,
        observed_generation=route.generation,
        phase=state.phase,
        revision=head.id,
        seq=head.seq,
        attempt=state.attempt,
        stable=table.stable,
        candidate=situation.candidate,
        target=route.spec.wanted,
        previous=state.previous,
        weight=table.weight,
        step=step if situation.candidate is not None else None,
        paused=state.paused,
        waiting=decision.waiting,
        rollback_ready=is_rollback_ready(situation),
        ready={role: situation.ready(ref) for role, ref in roles.items() if ref is not None},
        gateways=_gateways(route, observation),
        checks=decision.checks,
        evidence=_evidence(observation.windows),
        last_window=observation.windows[-1] if observation.windows else None,
        shadow=observation.shadow,
        rejected=state.rejected,
        conditions=(
            mark_ready(situation),
            mark_progressing(situation, decision),
            mark_programmed(situation),
            mark_paused(situation),
            mark_target(situation),
            mark_counted(observation),
        ),
    ).to_json()


def report_conflict(route: Route, winner: Route) -> dict[str, object]:
    """The status of a route for a model that an older route has already."""
    return Status(
        route=route.name,
        observed_generation=route.generation,
        target=route.spec.wanted,
        waiting=f"route {winner.name!r} is older and serves {route.spec.model!r}; delete one of the two",
        conditions=(mark_conflict(route, winner),),
    ).to_json()


def report_unreadable(route: Route, message: str) -> dict[str, object]:
    """The status of a route whose ledger cannot be used; what is published keeps serving."""
    return Status(
        route=route.name,
        observed_generation=route.generation,
        target=route.spec.wanted,
        waiting=message,
        conditions=(Condition(type="Progressing", status=False, reason=Reason.UNREADABLE, message=message),),
    ).to_json()


def is_rollback_ready(situation: Situation) -> bool:
    """True when one command leads back to a version with capacity for today's load."""
    if situation.candidate is not None:
        return situation.ready(situation.stable) > 0
    previous = situation.head.state.previous
    if previous is None or situation.route.spec.wanted != situation.stable:
        return False
    return situation.ready(previous) >= max(1, situation.ready(situation.stable))


def mark_ready(situation: Situation) -> Condition:
    """Stays true while stable serves, whatever a rollout does: a deployment tool may wait for it."""
    count = situation.ready(situation.stable)
    if count:
        return Condition(type="Ready", status=True, reason=Reason.SERVING, message=f"{situation.stable} serves")
    message = f"{situation.stable} has no ready instance"
    return Condition(type="Ready", status=False, reason=Reason.NOTHING_READY, message=message)


def mark_progressing(situation: Situation, decision: Decision) -> Condition:
    """A rollout is under way and nothing but time holds it."""
    if situation.candidate is None:
        return Condition(type="Progressing", status=False, reason=Reason.AT_REST, message=decision.waiting)
    if situation.head.state.paused:
        return Condition(type="Progressing", status=False, reason=Reason.PAUSED, message=decision.waiting)
    plan, approved = situation.strategy.steps, situation.head.state.approved
    if steps.awaits_approval(plan, situation.weight, approved=approved):
        return Condition(type="Progressing", status=False, reason=Reason.AWAITING_APPROVAL, message=decision.waiting)
    if any(check.verdict is not Verdict.PASS for check in decision.checks):
        return Condition(type="Progressing", status=False, reason=Reason.WAITING, message=decision.waiting)
    return Condition(type="Progressing", status=True, reason=Reason.ROLLING_OUT, message=decision.waiting)


def mark_programmed(situation: Situation) -> Condition:
    """Every gateway that answers serves the head."""
    check = acknowledged(situation)
    passed = check.verdict is Verdict.PASS
    reason = Reason.ACKNOWLEDGED if passed else Reason.REJECTED if check.verdict is Verdict.FAIL else Reason.BEHIND
    return Condition(type="Programmed", status=passed, reason=reason, message=check.reason)


def mark_paused(situation: Situation) -> Condition:
    """Somebody froze step and weight."""
    paused = situation.head.state.paused
    return Condition(type="Paused", status=paused, reason=Reason.PAUSED if paused else Reason.RUNNING)


def mark_target(situation: Situation) -> Condition:
    """The version that the spec asks for is not one that failed before."""
    rejected = situation.rejected(situation.route.spec.wanted)
    if rejected is None:
        return Condition(type="TargetAccepted", status=True, reason=Reason.ACCEPTED)
    return Condition(type="TargetAccepted", status=False, reason=Reason.REJECTED, message=rejected.reason)


def mark_counted(observation: Observation) -> Condition:
    """The last window was evidence. False means that the metrics are out, not that anything is wrong with a version."""
    gap = observation.windows[-1].gap if observation.windows else None
    gap = None if gap == EARLY else gap
    return Condition(
        type="Counted", status=gap is None, reason=Reason.GAP if gap else Reason.COUNTED, message=gap or ""
    )


def mark_conflict(route: Route, winner: Route) -> Condition:
    """Two routes for one model: the oldest serves it."""
    message = f"{route.spec.model!r} belongs to route {winner.name!r}"
    return Condition(type="Conflict", status=True, reason=Reason.OTHER_ROUTE, message=message)


def _before_the_first(route: Route, observation: Observation, decision: Decision) -> dict[str, object]:
    message = decision.waiting
    return Status(
        route=route.name,
        observed_generation=route.generation,
        target=route.spec.wanted,
        waiting=message,
        ready={"target": observation.ready.get(route.spec.wanted, 0)},
        gateways=_gateways(route, observation),
        checks=decision.checks,
        conditions=(Condition(type="Ready", status=False, reason=Reason.NOTHING_RELEASED, message=message),),
    ).to_json()


def _gateways(route: Route, observation: Observation) -> tuple[Gateway, ...]:
    return tuple(
        Gateway(
            name=one.name, reachable=one.reachable, programmed=one.programmed.get(route.name), rejected=one.rejected
        )
        for one in observation.gateways
    )


def _evidence(windows: Sequence[Window]) -> Evidence:
    return Evidence(
        candidate=Counts(n=sum(one.candidate.n for one in windows), bad=sum(one.candidate.bad for one in windows)),
        stable=Counts(n=sum(one.stable.n for one in windows), bad=sum(one.stable.bad for one in windows)),
        assigned=sum(one.assigned for one in windows),
        unserved=sum(one.unserved for one in windows),
        windows=len(windows),
        gaps=sum(one.gap is not None for one in windows),
    )
