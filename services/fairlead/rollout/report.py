"""Builds a route's status document, with its conditions and their reasons.

A condition says since when it is as it is: now, unless the store has an earlier time for the same status. Apart from
that the document contains no time of its writing: if nothing happened it is unchanged, and is not written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from fairlead.contracts.base import Document
from fairlead.contracts.revision import Phase, Revision, Verdict
from fairlead.contracts.route import TOTAL_WEIGHT, Route, UnreadableRoute, VersionRef
from fairlead.contracts.status import Condition, Evidence, Gateway, Reason, Status, StepStatus, WantedInstances
from fairlead.contracts.window import Counts, Failures, VersionCounts, VersionFailures, Window
from fairlead.rollout.analysis.counts import EARLY_GAP
from fairlead.rollout.policy import steps
from fairlead.rollout.policy.gates import acknowledged, awaits_acceptance
from fairlead.rollout.policy.observation import Decision, Observation
from fairlead.rollout.policy.share import counted
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.ports import GatewayState

Total = TypeVar("Total", bound=Document)
GATEWAY_AWAY_S = 10.0
"""Without a gateway that serves the route for this long, the route is down: longer than a gateway needs to restart,
and than a control plane that has just started needs to ask all of them."""


def report(
    route: Route,
    head: Revision | None,
    observation: Observation,
    decision: Decision,
    wanted: tuple[WantedInstances, ...] = (),
) -> dict[str, object]:
    """The route's status after a decision that appends no further revision; `wanted` is what `policy.wanted` says."""
    if head is None:
        return _before_the_first(route, observation, decision, wanted)
    situation = Situation(route, head, observation)
    state, table, plan = head.state, head.table, situation.strategy.steps
    index = steps.current_step(plan, table.weight)
    step = StepStatus(
        number=index + 1,
        of=len(plan),
        next_weight=steps.next_weight(plan, table.weight),
        entered_at=state.entered_at.isoformat(),
        approved=state.approved >= index >= 0,
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
        target=route.spec.target_ref,
        previous=state.previous,
        weight=table.weight,
        share=_share(situation),
        step=step if situation.candidate is not None else None,
        paused=state.paused,
        waiting=most_important(situation, decision),
        rollback_ready=is_rollback_ready(situation),
        ready={role: situation.ready(ref) for role, ref in roles.items() if ref is not None},
        wanted=wanted,
        returnable=tuple(ref.version for ref in _to_return_to(situation)),
        gateways=_gateways(route.name, observation.gateways),
        checks=decision.checks,
        evidence=_evidence(observation.windows),
        last_window=observation.windows[-1] if observation.windows else None,
        shadow=observation.shadow,
        rejected=state.rejected,
        conditions=_since(
            observation.now,
            (
                ready_condition(situation),
                degraded_condition(situation),
                progressing_condition(situation, decision),
                programmed_condition(situation),
                paused_condition(situation),
                target_condition(situation),
                counted_condition(observation),
                inputs_condition(situation),
            ),
        ),
    ).to_json()


def report_conflict(
    route: Route | UnreadableRoute, winner: str, namespace: str, *, older: bool = True
) -> dict[str, object]:
    """The status of a route whose model already belongs to another route, `winner` of this namespace.

    That one is `older`, or it served the model before this route named it. Where the spec cannot be read, the name
    stands for the model.
    """
    read = route if isinstance(route, Route) else None
    model = read.spec.model if read is not None else route.name
    named = f"route {winner!r}" + (f" of namespace {namespace!r}" if namespace != route.namespace else "")
    why = f"{named} {'is older and' if older else 'already'} serves {model!r}; delete one of the two"
    return Status(
        route=route.name,
        observed_generation=route.generation,
        target=read.spec.target_ref if read is not None else None,
        waiting=f"{route.message}; and {why}" if isinstance(route, UnreadableRoute) else why,
        conditions=(conflict_condition(model, named),),
    ).to_json()


def report_unreadable(
    name: str,
    generation: int,
    message: str,
    *,
    target: VersionRef | None = None,
    head: Revision | None = None,
    gateways: Sequence[GatewayState] = (),
    ready: int = 0,
) -> dict[str, object]:
    """The status of a route whose spec or ledger cannot be read. The published table keeps serving.

    `head`, if it can be read, has that table; `ready` is the number of ready instances of its stable version.
    """
    conditions = [Condition(type="Progressing", status=False, reason=Reason.UNREADABLE, message=message)]
    served: dict[str, Any] = {"target": target}
    if head is not None:
        state, table = head.state, head.table
        conditions.insert(0, _serves(table.stable, ready))
        served = {
            "phase": state.phase,
            "revision": head.id,
            "seq": head.seq,
            "attempt": state.attempt,
            "stable": table.stable,
            "candidate": table.candidate,
            "target": state.target,
            "previous": state.previous,
            "weight": table.weight,
            "paused": state.paused,
            "ready": {"stable": ready},
        }
    return Status(
        route=name,
        observed_generation=generation,
        waiting=message,
        gateways=_gateways(name, gateways),
        conditions=tuple(conditions),
        **served,
    ).to_json()


def is_rollback_ready(situation: Situation) -> bool:
    """True when one command can go back to a version with capacity for the present load."""
    if situation.candidate is not None:
        return situation.ready(situation.stable) > 0
    previous = situation.head.state.previous
    if previous is None or situation.is_back:
        return False
    return situation.ready(previous) >= max(1, situation.ready(situation.stable))


def most_important(situation: Situation, decision: Decision) -> str:
    """The most important thing that the route waits for, as a sentence.

    Users who get errors come first, then a candidate without instances and gateways that serve another revision, which
    do not pass by themselves as a step's time does.
    """
    ready, wanted = ready_condition(situation), situation.route.spec.target_ref
    if not ready.status:
        # A changed target that has to wait says the same, and why it is not carried out.
        is_kept = situation.candidate not in (None, wanted) and situation.head.state.declined != wanted
        return decision.waiting if is_kept and decision.waiting else ready.message
    urgent = {"ready", "acknowledged"} if situation.weight else set[str]()
    blocked = [one for one in decision.checks if one.verdict is not Verdict.PASS and one.gate in urgent]
    first = "; ".join(f"{one.gate}: {one.reason}" for one in blocked[:1] if one.reason not in decision.waiting)
    if first and situation.head.state.paused:
        return f"{first}; {decision.waiting}"
    return first or decision.waiting


def ready_condition(situation: Situation) -> Condition:
    """True while stable serves, also during a rollout. Deployment tools can wait for it."""
    stable, silent_s = situation.stable, situation.observation.silent_s
    is_cold = stable in situation.head.table.cold
    if not situation.ready(stable) and not is_cold:
        return Condition(type="Ready", status=False, reason=Reason.NOTHING_READY, message=_nothing_ready(situation))
    if silent_s >= GATEWAY_AWAY_S:
        answers = any(one.reachable for one in situation.observation.gateways)
        message = f"no gateway has the table of {situation.route.spec.model}" if answers else "no gateway answers"
        return Condition(type="Ready", status=False, reason=Reason.NO_GATEWAY, message=message)
    if is_cold:
        message = f"{stable} is cold: the next request starts it"
        return Condition(type="Ready", status=True, reason=Reason.COLD, message=message)
    degraded = degraded_condition(situation)
    # The reason is what `kubectl get` shows in the column HEALTH.
    reason = degraded.reason if degraded.status else Reason.SERVING
    return Condition(type="Ready", status=True, reason=reason, message=f"{stable} serves")


def degraded_condition(situation: Situation) -> Condition:
    """Stable serves with fewer instances than it should have, or the candidate has weight and no instance."""
    stable, candidate = situation.stable, situation.candidate
    have, wanted = situation.ready(stable), situation.stable_instances
    if have < wanted and stable not in situation.head.table.cold:
        message = f"{have} of {wanted} instances of {stable} are ready"
        return Condition(type="Degraded", status=True, reason=Reason.FEWER_READY, message=message)
    if candidate is not None and situation.weight and not situation.ready(candidate):
        message = f"{candidate} has no ready instance; {stable} answers its requests"
        return Condition(type="Degraded", status=True, reason=Reason.CANDIDATE_DOWN, message=message)
    return Condition(type="Degraded", status=False, reason=Reason.ENOUGH_READY)


def _nothing_ready(situation: Situation) -> str:
    candidate, message = situation.candidate, f"{situation.stable} has no ready instance"
    if candidate is None or not situation.ready(candidate):
        return message + _other_ready(situation)
    if not situation.weight:
        return f"{message}; {candidate} is ready"
    share, rest = steps.percent(situation.weight), steps.percent(TOTAL_WEIGHT - situation.weight)
    return f"{message}; {candidate} answers {share} of the requests, the other {rest} get errors"


def _other_ready(situation: Situation) -> str:
    """The version that could serve instead, and whether it was rejected."""
    target = situation.route.spec.target_ref
    rejected_target = (target,) if situation.rejected(target) and situation.ready(target) else ()
    ref = next(iter((*_to_return_to(situation), *rejected_target)), None)
    if ref is None:
        return ""
    rejected = situation.rejected(ref)
    if rejected is None:
        return f"; {ref} is ready"
    why = f"rejected in revision {situation.route.name}.{rejected.revision} ({rejected.reason})"
    return f"; {ref} is ready, but was {why}"


def _to_return_to(situation: Situation) -> tuple[VersionRef, ...]:
    """What a rollback `--to` would take, versions that were rejected last."""
    return tuple(sorted(situation.observation.returnable, key=lambda ref: situation.rejected(ref) is not None))


def _since(now: datetime, conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    return tuple(one.model_copy(update={"since": now}) for one in conditions)


def progressing_condition(situation: Situation, decision: Decision) -> Condition:
    """A rollout is in progress and waits only for time to pass."""
    if situation.candidate is None:
        return Condition(type="Progressing", status=False, reason=Reason.AT_REST, message=decision.waiting)
    if situation.head.state.paused:
        return Condition(type="Progressing", status=False, reason=Reason.PAUSED, message=decision.waiting)
    plan, approved = situation.strategy.steps, situation.head.state.approved
    if steps.awaits_approval(plan, situation.weight, approved=approved):
        return Condition(type="Progressing", status=False, reason=Reason.AWAITING_APPROVAL, message=decision.waiting)
    if any(awaits_acceptance(check) for check in decision.checks):
        return Condition(type="Progressing", status=False, reason=Reason.BREAKING_TYPES, message=decision.waiting)
    if any(check.verdict is not Verdict.PASS for check in decision.checks):
        return Condition(type="Progressing", status=False, reason=Reason.WAITING, message=decision.waiting)
    return Condition(type="Progressing", status=True, reason=Reason.ROLLING_OUT, message=decision.waiting)


def programmed_condition(situation: Situation) -> Condition:
    """Every reachable gateway serves the head."""
    check = acknowledged(situation)
    passed = check.verdict is Verdict.PASS
    reason = Reason.ACKNOWLEDGED if passed else Reason.REJECTED if check.verdict is Verdict.FAIL else Reason.BEHIND
    if not any(one.reachable for one in situation.observation.gateways):
        reason = Reason.NO_GATEWAY
    return Condition(type="Programmed", status=passed, reason=reason, message=check.reason)


def paused_condition(situation: Situation) -> Condition:
    """A user paused the route: step and weight do not change."""
    paused = situation.head.state.paused
    return Condition(type="Paused", status=paused, reason=Reason.PAUSED if paused else Reason.RUNNING)


def target_condition(situation: Situation) -> Condition:
    """The target version was not rejected before. The reason tells a gate's rejection from a person's rollback."""
    rejected = situation.rejected(situation.route.spec.target_ref)
    if rejected is None:
        return Condition(type="TargetAccepted", status=True, reason=Reason.ACCEPTED)
    reason = Reason.ROLLED_BACK if rejected.by else Reason.REJECTED
    return Condition(type="TargetAccepted", status=False, reason=reason, message=rejected.reason)


def counted_condition(observation: Observation) -> Condition:
    """The last window was evidence. False means a metrics outage, not a fault of a version."""
    gap = observation.windows[-1].gap if observation.windows else None
    gap = None if gap == EARLY_GAP else gap
    return Condition(
        type="Counted", status=gap is None, reason=Reason.GAP if gap else Reason.COUNTED, message=gap or ""
    )


def inputs_condition(situation: Situation) -> Condition:
    """The candidate gets other rows than stable. Requests are assigned at random, so this is no fault of a version."""
    told = situation.observation.inputs if situation.candidate is not None else None
    return told or Condition(type="InputsDiffer", status=False, reason=Reason.NOT_COMPARED)


def conflict_condition(model: str, winner: str) -> Condition:
    """Two routes for one model: only one serves it, in whichever namespace of the platform it is."""
    message = f"{model!r} belongs to {winner}"
    return Condition(type="Conflict", status=True, reason=Reason.OTHER_ROUTE, message=message)


def _before_the_first(
    route: Route, observation: Observation, decision: Decision, wanted: tuple[WantedInstances, ...]
) -> dict[str, object]:
    message = decision.waiting
    return Status(
        route=route.name,
        observed_generation=route.generation,
        target=route.spec.target_ref,
        waiting=message,
        ready={"target": observation.ready.get(route.spec.target_ref, 0)},
        wanted=wanted,
        gateways=_gateways(route.name, observation.gateways),
        checks=decision.checks,
        conditions=_since(
            observation.now,
            [Condition(type="Ready", status=False, reason=Reason.NOTHING_RELEASED, message=message)],
        ),
    ).to_json()


def _serves(stable: VersionRef, ready: int) -> Condition:
    if ready:
        return Condition(type="Ready", status=True, reason=Reason.SERVING, message=f"{stable} serves")
    message = f"{stable} has no ready instance"
    return Condition(type="Ready", status=False, reason=Reason.NOTHING_READY, message=message)


def _share(situation: Situation) -> int | None:
    got = counted(situation.counted_windows).share if situation.head.state.phase is Phase.CANARY else None
    return None if got is None else round(got * TOTAL_WEIGHT)


def _gateways(route: str, gateways: Sequence[GatewayState]) -> tuple[Gateway, ...]:
    return tuple(
        Gateway(name=one.name, reachable=one.reachable, programmed=one.programmed.get(route), rejected=one.rejected)
        for one in gateways
    )


def _evidence(windows: Sequence[Window]) -> Evidence:
    rejections, failures = [one.rejections for one in windows], [one.failures for one in windows]
    return Evidence(
        candidate=_total(Counts, [one.candidate for one in windows]),
        stable=_total(Counts, [one.stable for one in windows]),
        assigned=sum(one.assigned for one in windows),
        unserved=sum(one.unserved for one in windows),
        rejections=VersionCounts(
            candidate=_total(Counts, [one.candidate for one in rejections]),
            stable=_total(Counts, [one.stable for one in rejections]),
        ),
        failures=VersionFailures(
            candidate=_total(Failures, [one.candidate for one in failures]),
            stable=_total(Failures, [one.stable for one in failures]),
        ),
        windows=len(windows),
        gaps=sum(one.gap is not None for one in windows),
    )


def _total(kind: type[Total], parts: Sequence[Total]) -> Total:
    """The sum of all, field by field: at each tick, so without a document for each part."""
    return kind.model_validate({name: sum(getattr(one, name) for one in parts) for name in kind.model_fields})
