"""The rules for actions: which are carried out, which are refused and why, which have expired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from fairlead.contracts.action import PAUSE_LIMITS_S, Action, ActionType, Outcome, pause_limits
from fairlead.contracts.base import format_duration
from fairlead.contracts.revision import Cause, Phase, Revision
from fairlead.contracts.route import VersionRef
from fairlead.rollout.policy import action_answers, gates, steps, transitions
from fairlead.rollout.policy.moved_users import onto_nothing
from fairlead.rollout.policy.observation import FinishedAction, Observation
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.transitions import Requester


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action is not carried out, and what the user can do instead."""

    message: str
    outcome: Outcome = Outcome.REFUSED


ActionResult = Revision | Refusal


def split_finished(
    head: Revision | None, observation: Observation, actions: Sequence[Action]
) -> tuple[list[FinishedAction], list[Action]]:
    """Split the actions: those that are finished already, and those still to be carried out, rollbacks first.

    If the head names a pending action, that action was carried out, and the process died before it was finished.
    """
    finished, left = [], []
    for action in actions:
        if action.outcome is not Outcome.PENDING:
            continue
        if head is not None and head.action == action.name:
            answer = action_answers.accepted(head, action, observation)
            finished.append(FinishedAction(action.name, Outcome.ACCEPTED, answer, head.seq))
        elif (why := _too_late(head, observation, action)) is not None:
            finished.append(FinishedAction(action.name, Outcome.EXPIRED, why))
        else:
            left.append(action)
    return finished, sorted(left, key=lambda action: action.type is not ActionType.ROLLBACK)


def _too_late(head: Revision | None, observation: Observation, action: Action) -> str | None:
    if action.expires_at is not None and action.expires_at <= observation.now:
        return f"nobody acted on it before {action.expires_at:%Y-%m-%d %H:%M:%S} UTC; ask again if it is still wanted"
    if head is None or action.attempt in (None, head.state.attempt) or _began_with_what_was_seen(head, action):
        return None
    return (
        f"it was asked for during attempt {action.attempt}, and attempt {head.state.attempt}, of {head.state.target}, "
        "has begun since; ask again if it is still wanted"
    )


def _began_with_what_was_seen(head: Revision, action: Action) -> bool:
    """Whether the present attempt began with a spec that the person saw before the engine acted on it."""
    return action.attempt == head.state.attempt - 1 and action.generation == head.generation


def apply_action(situation: Situation, action: Action) -> ActionResult:
    """The revision that carries out the action, or the reason for a refusal.

    For every type: users are moved onto a version without a ready instance only if the action says so.
    """
    result = _RULES[action.type](situation, action)
    if isinstance(result, Refusal):
        return result
    down = onto_nothing(situation, result.table)
    if down is None:
        return result
    if not action.even_if_down:
        return Refusal(_moved_onto(down, situation, action))
    return result.model_copy(update={"reason": f"{result.reason}{action_answers.although_down(down)}"})


def _moved_onto(down: VersionRef, situation: Situation, action: Action) -> str:
    model, stays, share = situation.route.name, situation.candidate, steps.percent(situation.weight)
    why = f"it would move the {share} of users that {stays} serves to {down}, which has no ready instance"
    anyway = f"`fairlead rollback {model} --even-if-down`"
    if action.type is ActionType.ROLLBACK:
        to = f" --to {model}.{action.to_revision}" if action.to_revision is not None else ""
        anyway = f"to go back all the same: `fairlead rollback {model}{to} --even-if-down`"
        return f"{why}. To serve everyone with {stays}: `fairlead promote {model}`; {anyway}"
    return f"{why}. First decide about {stays}: `fairlead promote {model}` or {anyway}"


def _rollback(situation: Situation, action: Action) -> ActionResult:
    if action.to_revision is not None:
        named = situation.observation.named.get(action.to_revision)
        if named is None:
            return Refusal(f"revision {situation.route.name}.{action.to_revision} is not in the ledger")
        to: VersionRef | None = named.table.stable
    elif situation.candidate is not None:
        return transitions.returned(situation, Requester.action_of(action), to=situation.stable, restored_from=None)
    else:
        to = situation.head.state.previous
    if to == situation.stable:
        if situation.candidate is None:
            return Refusal(f"{to} serves already")
        return transitions.returned(situation, Requester.action_of(action), to=to, restored_from=action.to_revision)
    if to is None or (action.to_revision is None and situation.is_back):
        return Refusal(_nothing_before(situation))
    return _return_to(situation, action, to)


def _return_to(situation: Situation, action: Action, to: VersionRef) -> ActionResult:
    """Stable changes at once, so the new stable version must have a ready instance."""
    if not situation.specified(to) and to != situation.head.state.previous:
        return Refusal(f"version {to} ({to.identity}) is no longer in the route; put it back into `versions` first")
    if not situation.ready(to) and not situation.specified(to):
        return Refusal(f"{to} has no ready instance and is no longer in the route; put it back into `versions` first")
    if not situation.ready(to) and not action.even_if_down:
        return Refusal(
            f"{to} has no ready instance, going back to it would be an outage; {_why_down(situation, to)}, "
            "or add --even-if-down"
        )
    source = action.to_revision if action.to_revision is not None else situation.head.state.previous_revision
    return transitions.returned(situation, Requester.action_of(action), to=to, restored_from=source)


def _why_down(situation: Situation, ref: VersionRef) -> str:
    if situation.observation.wanted.get(ref) == 0:
        return f"it is scaled to 0, and `fairlead release {situation.route.name} {ref.version}` starts it again"
    return (
        f"`fairlead logs {situation.route.name} --version {ref.version}` says why it is not ready; try again when it is"
    )


def _nothing_before(situation: Situation) -> str:
    refused, stable, head = situation.rejected(situation.route.spec.target_ref), situation.stable, situation.head
    if refused is not None:
        is_down = "" if situation.ready(stable) else ", without a ready instance"
        return (
            f"{refused.ref} was rolled back in revision {situation.route.name}.{refused.revision}, and {stable} is "
            f"stable{is_down}; to go further back, name a version or a revision with --to"
        )
    since = f" since the rollback in revision {head.id}" if head.cause is Cause.ROLLED_BACK else ""
    return (
        f"there is no promotion to undo: {stable} is stable{since}; to change to another version, name it or a "
        "revision with --to, or release it"
    )


def _retry(situation: Situation, action: Action) -> ActionResult:
    target = situation.route.spec.target_ref
    if situation.rejected(target) is None:
        return Refusal(f"{target} is not rejected: there is nothing to try again")
    if target == situation.stable:
        return Refusal(f"{target} serves already")
    return transitions.released(situation, Requester.action_of(action), default=f"another attempt of {target}")


def _approve(situation: Situation, action: Action) -> ActionResult:
    plan = situation.strategy.steps
    index = steps.current_step(plan, situation.weight) if situation.head.state.phase is Phase.CANARY else -1
    if action.step is not None and action.step != index:
        return Refusal(f"it was meant for step {action.step + 1}, which is not the present one", Outcome.EXPIRED)
    if index < 0 or not plan[index].approval:
        return Refusal("no step waits for an approval")
    if situation.head.state.approved >= index:
        return Refusal(f"step {index + 1} is approved already")
    default = f"step {index + 1} of {len(plan)} is approved"
    return transitions.noted(situation, Requester.action_of(action), default, approved=index)


def _promote(situation: Situation, action: Action) -> ActionResult:
    candidate, stable, model = situation.candidate, situation.stable, situation.route.name
    if candidate is None:
        return Refusal(_no_candidate(situation))
    if not situation.ready(candidate) and not action.even_if_down:
        return Refusal(
            f"{candidate} has no ready instance, so everyone would get errors; {_why_down(situation, candidate)}. To "
            f"promote it all the same, add --even-if-down; to stay on {stable}: `fairlead rollback {model}`"
        )
    if situation.ready(stable) and not action.even_if_stable_serves:
        return Refusal(
            f"{stable} serves, so the gates decide when {candidate} may go on; `fairlead status {model}` says what it "
            "waits for. To skip the gates all the same, add --even-if-stable-serves"
        )
    evidence = tuple(one.check for one in gates.judge(situation))
    return transitions.promoted(situation, evidence, Requester.action_of(action))


def _no_candidate(situation: Situation) -> str:
    refused = situation.rejected(situation.route.spec.target_ref)
    if refused is not None and refused.ref != situation.stable:
        return (
            f"no rollout is in progress: {refused.ref} was rejected in revision {situation.route.name}."
            f"{refused.revision} ({refused.reason}). When the cause is fixed: `fairlead retry {situation.route.name}`"
        )
    return f"no rollout is in progress, so there is no candidate to promote; {situation.stable} is stable"


def _pause(situation: Situation, action: Action) -> ActionResult:
    state, lasts, now = situation.head.state, action.pause_for, situation.observation.now
    shortest, longest = PAUSE_LIMITS_S
    if lasts is None:
        if state.paused and state.paused_until is None:
            return Refusal("it is paused already")
        by = Requester.action_of(action)
        return transitions.noted(situation, by, "paused", paused=True, paused_until=None, paused_for=None)
    if not shortest <= lasts <= longest:
        return Refusal(f"{format_duration(lasts)} is not possible: {pause_limits()}")
    return transitions.noted(
        situation,
        Requester.action_of(action),
        f"paused for {format_duration(lasts)}",
        paused=True,
        paused_until=now + timedelta(seconds=lasts),
        paused_for=lasts,
    )


def _resume(situation: Situation, action: Action) -> ActionResult:
    if not situation.head.state.paused:
        return Refusal("it is not paused")
    return transitions.resumed(situation, Requester.action_of(action), "resumed")


_RULES: Mapping[ActionType, Callable[[Situation, Action], ActionResult]] = {
    ActionType.ROLLBACK: _rollback,
    ActionType.RETRY: _retry,
    ActionType.APPROVE: _approve,
    ActionType.PAUSE: _pause,
    ActionType.RESUME: _resume,
    ActionType.PROMOTE: _promote,
}
