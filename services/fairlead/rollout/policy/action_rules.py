"""The rules for actions: which are carried out, which are refused and why, which have expired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import VersionRef
from fairlead.rollout.policy import steps, transitions
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
            finished.append(FinishedAction(action.name, Outcome.ACCEPTED, head.reason, head.seq))
        elif (why := _too_late(head, observation, action)) is not None:
            finished.append(FinishedAction(action.name, Outcome.EXPIRED, why))
        else:
            left.append(action)
    return finished, sorted(left, key=lambda action: action.type is not ActionType.ROLLBACK)


def _too_late(head: Revision | None, observation: Observation, action: Action) -> str | None:
    if action.expires_at is not None and action.expires_at <= observation.now:
        return f"nobody acted on it before {action.expires_at:%Y-%m-%d %H:%M:%S} UTC; ask again if it is still wanted"
    attempt = head.state.attempt if head is not None else 0
    if action.attempt is not None and action.attempt != attempt:
        return f"it was meant for attempt {action.attempt}, the route is at attempt {attempt}"
    return None


def apply_action(situation: Situation, action: Action) -> ActionResult:
    """The revision that carries out the action, or the reason for a refusal."""
    return _RULES[action.type](situation, action)


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
    if to is None or (action.to_revision is None and situation.route.spec.target_ref != situation.stable):
        return Refusal(_nothing_before(situation))
    return _return_to(situation, action, to)


def _return_to(situation: Situation, action: Action, to: VersionRef) -> ActionResult:
    """Stable changes at once, so the new stable version must have a ready instance."""
    if not situation.specified(to) and to != situation.head.state.previous:
        return Refusal(f"version {to} ({to.identity}) is no longer in the route; put it back into `versions` first")
    if not situation.ready(to):
        how = "start it and try again" if situation.specified(to) else "put it back into `versions` first"
        return Refusal(f"{to} has no ready instance, going back to it would be an outage; {how}")
    source = action.to_revision if action.to_revision is not None else situation.head.state.previous_revision
    return transitions.returned(situation, Requester.action_of(action), to=to, restored_from=source)


def _nothing_before(situation: Situation) -> str:
    refused = situation.rejected(situation.route.spec.target_ref)
    if refused is not None:
        return (
            f"{refused.ref} is out since revision {situation.route.name}.{refused.revision} and {situation.stable} "
            "serves; name a revision to go further back"
        )
    return f"there is nothing before {situation.stable} to go back to; name a revision, or release another version"


def _retry(situation: Situation, action: Action) -> ActionResult:
    target = situation.route.spec.target_ref
    if situation.rejected(target) is None:
        return Refusal(f"{target} is not rejected: there is nothing to try again")
    if target == situation.stable:
        return Refusal(f"{target} serves already")
    return transitions.released(situation, Requester.action_of(action))


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


def _pause(situation: Situation, action: Action) -> ActionResult:
    if situation.head.state.paused:
        return Refusal("it is paused already")
    return transitions.noted(situation, Requester.action_of(action), "paused", paused=True)


def _resume(situation: Situation, action: Action) -> ActionResult:
    if not situation.head.state.paused:
        return Refusal("it is not paused")
    changes: dict[str, object] = {"paused": False}
    if situation.head.state.phase is Phase.PREPARING:
        # A deadline that passed during the pause must not end the attempt as soon as it is resumed.
        changes["entered_at"] = situation.observation.now
    return transitions.noted(situation, Requester.action_of(action), "resumed", **changes)


_RULES: Mapping[ActionType, Callable[[Situation, Action], ActionResult]] = {
    ActionType.ROLLBACK: _rollback,
    ActionType.RETRY: _retry,
    ActionType.APPROVE: _approve,
    ActionType.PAUSE: _pause,
    ActionType.RESUME: _resume,
}
