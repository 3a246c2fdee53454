"""All kinds of revisions, one function each: the new table and the state of the rollout after it.

Each function builds the whole table from the spec, so that no change of the spec is lost, in any order of events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fairlead.contracts.acceptance import acceptance_of
from fairlead.contracts.action import Action
from fairlead.contracts.revision import Accepted, Cause, Check, Phase, Rejected, Revision, State, Verdict
from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.schema_changes import BREAKING
from fairlead.rollout.policy import steps, time_limit
from fairlead.rollout.policy.cold import cold, describe_cold
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.settings import (
    describe_change,
    describe_versions,
    in_force,
    settings_in_force,
    settings_of,
    strategy_waits,
)
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.tables import limit_of, new_table, pinned, without_pins

MAX_REJECTED = 64
"""The same as the most versions of a spec. The oldest is dropped first."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who requested a revision, and the reason they gave."""

    actor: str = "fairlead"
    verified: bool = False
    reason: str = ""
    action: str | None = None

    @classmethod
    def user(cls, route: Route) -> Requester:
        """The user who last changed the spec."""
        return cls(route.actor or "fairlead", route.actor_verified, route.reason)

    @classmethod
    def action_of(cls, action: Action) -> Requester:
        """The user who created the action."""
        return cls(action.actor, action.actor_verified, action.reason, action.name)


def created(route: Route, observation: Observation, evidence: tuple[Check, ...]) -> Revision:
    """The first revision: the target gets all requests."""
    ref, by = route.spec.target_ref, Requester.user(route)
    return Revision(
        namespace=route.namespace,
        route=route.name,
        seq=1,
        cause=Cause.CREATED,
        actor=by.actor,
        actor_verified=by.verified,
        reason=by.reason or f"{ref} is the first version",
        generation=route.generation,
        settings=settings_of(route.spec),
        table=new_table(
            route, pinned((), route, observation), stable=ref, limit_s=time_limit.limit_for(route.spec.timeouts, ())
        ),
        state=State(target=ref, entered_at=observation.now),
        evidence=evidence,
        created_at=observation.now,
    )


def released(situation: Situation, by: Requester, default: str = "") -> Revision:
    """A new attempt: a candidate in progress loses its weight, and the target starts in phase preparing."""
    target, state = situation.route.spec.target_ref, situation.head.state
    changes = {
        **_idle_state(situation),
        "phase": Phase.PREPARING,
        "attempt": state.attempt + 1,
        "stable_instances": situation.observation.wanted.get(situation.stable, situation.ready(situation.stable)),
        "target": target,
        "rejected": tuple(one for one in state.rejected if one.ref != target),
    }
    return _next(situation, Cause.RELEASED, by, default or f"release of {target}", state=changes)


def withdrawn(situation: Situation, why: str) -> Revision:
    """A new target that starts no attempt. A rollout in progress ends, and its candidate is not rejected."""
    changes = {**_idle_state(situation), "target": situation.route.spec.target_ref}
    return _next(situation, Cause.SPEC, Requester.user(situation.route), why, state=changes)


def declined(situation: Situation, rejected: Rejected) -> Revision:
    """The spec asks for a rejected target. That starts nothing, so the rollout in progress goes on."""
    name = situation.route.name
    why = (
        f"{rejected.ref} is asked for and was rejected in revision {name}.{rejected.revision} ({rejected.reason}); "
        f"the rollout of {situation.candidate} goes on"
    )
    return _same_weights(situation, why, state={"declined": rejected.ref})


def asked_again(situation: Situation) -> Revision:
    """The spec asks again for the version that is being released, after a target that was declined."""
    return _same_weights(situation, f"the target is {situation.candidate} again", state={"declined": None})


def reconfigured(situation: Situation) -> Revision | None:
    """The same weights with other settings in the spec, and a reason that names them; None if they are the same.

    All but the strategy apply at once. An attempt in progress keeps its own strategy.
    """
    route, head = situation.route, situation.head
    asked = settings_in_force(route, head) if situation.has_seen_the_spec else settings_of(route.spec)
    if not head.settings or not (changed := describe_change(head.settings, asked)):
        return None
    if situation.has_seen_the_spec:
        return _same_weights(situation, f"the changed strategy is in force now: {changed}")
    if strategy_waits(route, head):
        changed += f"; the strategy applies to the next release, {situation.candidate} keeps its own"
    versions = describe_versions(head.settings, asked)
    return _same_weights(situation, f"the spec changed: {changed}{f'; {versions}' if versions else ''}")


def noticed(situation: Situation) -> Revision | None:
    """A change of the spec that moves no weight and names no other target; None if the head has it."""
    if situation.has_seen_the_spec:
        return None
    versions = describe_versions(situation.head.settings, settings_of(situation.route.spec))
    if versions is None:
        return _same_weights(situation, "the spec changed: versions, their instances, or only how it is written")
    return _same_weights(situation, versions or "the spec changed: only how it is written")


def accepted(situation: Situation) -> Revision | None:
    """Breaking types that wait for it are accepted by the route's annotation, for this attempt; None if they are not.

    One text accepts one attempt, so that a version which was rejected since is not brought back unasked.
    """
    seen, state, said = situation.observation.smoke, situation.head.state, acceptance_of(situation.route.annotations)
    if state.phase is not Phase.PREPARING or seen is None or BREAKING not in seen.numbers:
        return None
    if said.version != state.target.version or (state.accepted is not None and state.accepted.text == said.text):
        return None
    what = f"the breaking types of {state.target} are accepted"
    if said.actor:
        by = Requester(said.actor, reason=f"{what} ({said.reason})" if said.reason else what)
    else:
        by = Requester(reason=f"{what}; the annotation does not say by whom")
    changes = {"accepted": Accepted(text=said.text, attempt=state.attempt)}
    return _next(situation, Cause.SPEC, by, what, state=changes, evidence=(seen,))


def refreshed(situation: Situation) -> Revision | None:
    """The same weights with a new pin, or without one, or other cold versions; None if the table does not change."""
    old = situation.head.table
    draft = _same_weights(situation, "the spec changed")
    if draft.table == old:
        return None
    if draft.table.model_copy(update={"cold": old.cold}) == old:
        cause, reason = describe_cold(situation.route, old, draft.table)
        return draft.model_copy(update={"cause": cause, "actor": "fairlead", "actor_verified": False, "reason": reason})
    fresh = [ref for ref in draft.table.pins if ref not in old.pins]
    if not fresh or without_pins(draft.table, fresh) != old:
        return draft
    names = ", ".join(map(str, fresh))
    ours = {"cause": Cause.PINNED, "actor": "fairlead", "reason": f"{names} is ready and can be asked by name"}
    return draft.model_copy(update=ours)


def shadowed(situation: Situation, share: int, evidence: tuple[Check, ...]) -> Revision:
    """The candidate gets mirrored requests, and no weight yet."""
    changes = {"phase": Phase.SHADOWING, "entered_at": situation.observation.now}
    reason = f"copies of {steps.percent(share)} of the requests to {situation.candidate}"
    return _next(situation, Cause.STEP, Requester(), reason, state=changes, evidence=evidence)


def stepped(situation: Situation, evidence: tuple[Check, ...]) -> Revision:
    """The candidate's next weight."""
    plan, weight = situation.strategy.steps, situation.next_weight
    index = steps.current_step(plan, weight)
    reason = f"step {index + 1} of {len(plan)}: {steps.percent(weight)} to {situation.candidate}"
    changes = {"phase": Phase.CANARY, "step": index, "entered_at": situation.observation.now}
    return _next(
        situation,
        Cause.STEP,
        Requester(),
        reason,
        candidate=situation.candidate,
        weight=weight,
        state=changes,
        evidence=evidence,
    )


def promoted(situation: Situation, evidence: tuple[Check, ...], by: Requester | None = None) -> Revision:
    """The candidate becomes stable, and stable becomes the previous version.

    `by` is the user who did not wait for the gates; None: every gate passed.
    """
    changes = {
        **_idle_state(situation),
        "previous": situation.stable,
        "previous_revision": situation.head.seq,
        "promoted_at": situation.observation.now,
    }
    if by is not None:
        by = replace(by, reason=f"{by.reason or 'promoted by hand'}; {_skipped(situation, evidence)}")
    reason = f"{situation.candidate} passed every step and is stable{_failures(evidence)}"
    return _next(
        situation,
        Cause.PROMOTED,
        by or Requester(),
        reason,
        stable=situation.candidate,
        state=changes,
        evidence=evidence,
    )


def _failures(evidence: tuple[Check, ...]) -> str:
    """As "; 7 of 63 requests failed against 0 of 220"; empty unless the candidate failed more often than stable."""
    seen = next((check.numbers for check in evidence if check.gate == "errors"), {})
    bad, n, stable_bad, stable_n = (
        int(seen.get(f"{arm}_{what}", 0)) for arm in ("candidate", "stable") for what in ("bad", "n")
    )
    if bad * stable_n <= stable_bad * n:
        return ""
    return f"; {bad:,} of {n:,} requests failed against {stable_bad:,} of {stable_n:,}"


def _skipped(situation: Situation, evidence: tuple[Check, ...]) -> str:
    """As "the gates were skipped (not passed: errors, capacity, the approval of step 1)"."""
    missing = [check.gate for check in evidence if check.verdict is not Verdict.PASS]
    plan, approved = situation.strategy.steps, situation.head.state.approved
    if steps.awaits_approval(plan, situation.weight, approved=approved):
        missing.append(f"the approval of step {steps.current_step(plan, situation.weight) + 1}")
    return f"the gates were skipped (not passed: {', '.join(missing)})" if missing else "the gates were skipped"


def rolled_back(situation: Situation, why: str, evidence: tuple[Check, ...]) -> Revision:
    """A guard failed: the candidate loses its weight and is rejected until a user retries it."""
    changes = {**_idle_state(situation), "rejected": _rejecting(situation, situation.head.state.target, why)}
    reason = f"{situation.candidate} was rolled back: {why}"
    return _next(situation, Cause.ROLLED_BACK, Requester(), reason, state=changes, evidence=evidence)


def returned(situation: Situation, by: Requester, *, to: VersionRef, restored_from: int | None) -> Revision:
    """A user rolls back: `to` gets all requests, and the version that they go back from is rejected until a retry.

    That is the candidate, or stable where no rollout is in progress. A target that was rejected before keeps its own
    rejection. `to` is no longer rejected, even if it is the target itself, because a user chose it.
    """
    left = situation.candidate or situation.stable
    rejected = _rejecting(situation, left, by.reason or f"rolled back by {by.actor}", by.actor)
    changes = {**_idle_state(situation), "rejected": tuple(one for one in rejected if one.ref != to)}
    if to != situation.stable:
        changes |= {"previous": None, "previous_revision": None, "promoted_at": None}
    default = f"back to {to}"
    return _next(situation, Cause.ROLLED_BACK, by, default, stable=to, state=changes, restored_from=restored_from)


def noted(situation: Situation, by: Requester, default: str, **changes: Any) -> Revision:
    """An accepted action that changes no weight."""
    candidate, weight = situation.head.table.candidate, situation.weight
    return _next(situation, Cause.ACTION, by, default, candidate=candidate, weight=weight, state=changes)


def _same_weights(situation: Situation, what: str, *, state: dict[str, Any] | None = None) -> Revision:
    """A change of the spec that moves no weight. The user's own reason follows what changed."""
    by = Requester.user(situation.route)
    return _next(
        situation,
        Cause.SPEC,
        replace(by, reason=f"{what} ({by.reason})" if by.reason else what),
        what,
        candidate=situation.head.table.candidate,
        weight=situation.weight,
        state=state,
    )


def resumed(situation: Situation, by: Requester, default: str) -> Revision:
    """The rollout continues in the step in which it was paused."""
    changes: dict[str, object] = {"paused": False, "paused_until": None, "paused_for": None}
    if situation.head.state.phase is Phase.PREPARING:
        # A deadline that passed during the pause must not end the attempt as soon as it is resumed.
        changes["entered_at"] = situation.observation.now
    return noted(situation, by, default, **changes)


def _next(
    situation: Situation,
    cause: Cause,
    by: Requester,
    default: str,
    *,
    stable: VersionRef | None = None,
    candidate: VersionRef | None = None,
    weight: int = 0,
    state: dict[str, Any] | None = None,
    evidence: tuple[Check, ...] = (),
    restored_from: int | None = None,
) -> Revision:
    """The head's successor. Without `candidate` there is no candidate; without `stable` the stable version stays."""
    route, head, observation = in_force(situation.route, situation.head), situation.head, situation.observation
    after = head.state.model_copy(update=state or {})
    is_new = cause is Cause.RELEASED
    table = new_table(
        route,
        pinned(head.table.pins, route, observation),
        stable=stable or head.table.stable,
        candidate=candidate,
        weight=weight,
        attempt=after.attempt,
        limit_s=limit_of(situation, rises=cause is Cause.STEP),
        shadowed=after.target if after.phase is Phase.SHADOWING else None,
    )
    return Revision(
        namespace=route.namespace,
        route=route.name,
        seq=head.seq + 1,
        parent=head.hash,
        cause=cause,
        actor=by.actor,
        actor_verified=by.verified,
        reason=by.reason or default,
        action=by.action,
        restored_from=restored_from,
        generation=route.generation,
        settings=settings_of(situation.route.spec) if is_new else settings_in_force(situation.route, head),
        table=table.model_copy(update={"cold": cold(route, observation, head.table, after, table)}),
        state=after,
        evidence=evidence,
        created_at=observation.now,
    )


def _idle_state(situation: Situation) -> dict[str, Any]:
    """The fields of a state without a rollout. `paused` is not changed: a user must resume the route."""
    return {
        "phase": Phase.STABLE,
        "step": -1,
        "approved": -1,
        "declined": None,
        "entered_at": situation.observation.now,
    }


def _rejecting(situation: Situation, ref: VersionRef, why: str, by: str = "") -> tuple[Rejected, ...]:
    """The rejections with that of `ref`, which loses now. All others keep their revision and their reason."""
    mine = Rejected(ref=ref, revision=situation.head.seq + 1, reason=why, by=by)
    others = [one for one in situation.head.state.rejected if one.ref != ref]
    # The target's rejection is not among the oldest, which are dropped: without it the target would be released again.
    others.sort(key=lambda one: one.ref == situation.route.spec.target_ref)
    return (*others, mine)[-MAX_REJECTED:]
