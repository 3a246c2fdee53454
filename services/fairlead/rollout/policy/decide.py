"""The decision of one tick: first the target in the spec, then users' actions, then the gates.

It returns one revision at a time. The caller appends it and decides again, until no further revision is due.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.contracts.action import Action, Outcome
from fairlead.contracts.base import format_duration
from fairlead.contracts.revision import Check, Phase, Revision, Verdict
from fairlead.contracts.route import Route, VersionRef
from fairlead.rollout.policy import action_answers, action_rules, gates, steps, transitions
from fairlead.rollout.policy.gates import Judged
from fairlead.rollout.policy.moved_users import onto_nothing
from fairlead.rollout.policy.observation import Decision, FinishedAction, Observation
from fairlead.rollout.policy.settings import strategy_waits
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.transitions import Requester


def decide(route: Route, head: Revision | None, observation: Observation, actions: Sequence[Action]) -> Decision:
    """The next revision, if any, the actions to finish, and what the rollout waits for.

    `actions` must be read after `head`. Then an action that was carried out is either finished or named by the head,
    because no revision is appended after an action's revision before that action is finished.
    """
    finished, pending = action_rules.split_finished(head, observation, actions)
    if head is None:
        return _first(route, observation, finished, pending)
    situation = Situation(route, head, observation)
    # Changed settings first: a revision of their own says what they were when a decision was based on them.
    reconfigured = transitions.reconfigured(situation)
    if reconfigured is not None:
        return Decision(reconfigured, tuple(finished))
    asked = _target(situation)
    down = onto_nothing(situation, asked.table) if asked is not None else None
    if asked is not None and down is None:
        return Decision(asked, tuple(finished))
    # Every generation has a revision with its actor, before anything that the engine or another person decides on it.
    noticed = transitions.noticed(situation)
    if noticed is not None:
        return Decision(noticed, tuple(finished))
    accepted = transitions.accepted(situation)
    if accepted is not None:
        return Decision(accepted, tuple(finished))
    for action in pending:
        result = action_rules.apply_action(situation, action)
        if isinstance(result, Revision):
            answer = action_answers.accepted(result, action, observation)
            return Decision(result, tuple(finished), answer=answer)
        finished.append(FinishedAction(action.name, result.outcome, result.message))
    if situation.pause_is_over:
        return Decision(transitions.resumed(situation, Requester(), _pause_over(situation)), tuple(finished))
    if down is not None:
        return Decision(transitions.refreshed(situation), tuple(finished), waiting=_kept(situation, down))
    return _progress(situation, tuple(finished))


def _pause_over(situation: Situation) -> str:
    lasted = situation.head.state.paused_for
    return f"the pause of {format_duration(lasted)} is over" if lasted is not None else "the pause is over"


def _kept(situation: Situation, down: VersionRef) -> str:
    """Why a changed target does not end the rollout yet."""
    model, wanted = situation.route.name, situation.route.spec.target_ref
    return (
        f"the target is {wanted} now, but {situation.candidate} keeps its {steps.percent(situation.weight)}, because "
        f"{down} has no ready instance: start it, or `fairlead promote {model}`, or `fairlead rollback {model} "
        "--even-if-down`"
    )


def _first(route: Route, observation: Observation, finished: list[FinishedAction], pending: list[Action]) -> Decision:
    """The first revision. No users are served yet, so one ready instance of the target is enough.

    The service itself compared its golden rows before it became ready. There is no published table yet through which
    the engine could send them.
    """
    target = route.spec.target_ref
    nothing = f"nothing of {route.name!r} serves yet"
    done = (*finished, *(FinishedAction(action.name, Outcome.REFUSED, nothing) for action in pending))
    count = observation.ready.get(target, 0)
    if observation.unknown:
        check = Check(gate="ready", verdict=Verdict.INCONCLUSIVE, reason=observation.unknown)
        return Decision(None, done, waiting=observation.unknown, checks=(check,))
    if not count:
        unready = observation.unready.get(target)
        if unready is not None and unready.for_good:
            why = unready.cannot_be_loaded(route.name, target)
        else:
            why = f"{target} has no ready instance{f' ({unready.why})' if unready is not None and unready.why else ''}"
        check = Check(gate="ready", verdict=Verdict.INCONCLUSIVE, reason=why)
        return Decision(None, done, waiting=why, checks=(check,))
    check = Check(gate="ready", verdict=Verdict.PASS, reason=f"{target} is ready", numbers={"ready": count})
    return Decision(transitions.created(route, observation, (check,)), done)


def _target(situation: Situation) -> Revision | None:
    """The revision that a changed target asks for. A target that cannot start ends no rollout in progress."""
    wanted, candidate, state = situation.route.spec.target_ref, situation.candidate, situation.head.state
    rejected = situation.rejected(wanted)
    if candidate == wanted:
        return transitions.asked_again(situation) if state.declined is not None else None
    if wanted != situation.stable and rejected is None:
        return transitions.released(situation, Requester.user(situation.route))
    if candidate is None and state.target == wanted:
        return None
    if rejected is None or wanted == situation.stable:
        return transitions.withdrawn(situation, f"the target is {wanted} again")
    if candidate is None:
        return transitions.withdrawn(situation, f"{wanted} is asked for again, and was rejected: {rejected.reason}")
    if not situation.specified(candidate):
        why = f"{candidate} left the spec, and the target {wanted} was rejected: {rejected.reason}"
        return transitions.withdrawn(situation, why)
    return None if state.declined == wanted else transitions.declined(situation, rejected)


def _progress(situation: Situation, finished: tuple[FinishedAction, ...]) -> Decision:
    """Rollbacks first, then changes of the spec, then rises of the weight."""
    refreshed = transitions.refreshed(situation)
    if situation.candidate is None:
        return Decision(refreshed, finished, waiting=_rejection_notice(situation) or _pause_notice(situation))
    judged = gates.judge(situation)
    checks = tuple(one.check for one in judged)
    failed = _failed_guard(judged)
    waiting = _waiting(situation, judged)
    if waiting and strategy_waits(situation.route, situation.head):
        waiting += "; the strategy in the spec was changed and applies to the next release"
    if failed is not None and not situation.head.state.paused and not _halted(situation):
        why = f"{failed.gate}: {failed.reason}"
        return Decision(transitions.rolled_back(situation, why, checks), finished, checks=checks)
    if refreshed is not None or waiting:
        return Decision(refreshed, finished, waiting=waiting, checks=checks)
    shadow = situation.strategy.shadow
    if shadow is not None and situation.head.state.phase is Phase.PREPARING:
        return Decision(transitions.shadowed(situation, shadow.share, checks), finished, checks=checks)
    if steps.is_last(situation.strategy.steps, situation.weight):
        return Decision(transitions.promoted(situation, checks), finished, checks=checks)
    return Decision(transitions.stepped(situation, checks), finished, checks=checks)


def _failed_guard(judged: Sequence[Judged]) -> Check | None:
    return next((one.check for one in judged if one.role == "guard" and one.check.verdict is Verdict.FAIL), None)


def _halted(situation: Situation) -> bool:
    """True when a rollback would move users from a version that answers to one without ready instances."""
    return bool(situation.weight and situation.ready(situation.candidate) and not situation.ready(situation.stable))


def _waiting(situation: Situation, judged: Sequence[Judged]) -> str:
    """The first reason why the weight does not rise; empty if there is none."""
    state = situation.head.state
    if state.paused:
        return _pause_notice(situation)
    if situation.observation.unknown:
        return situation.observation.unknown
    failed = _failed_guard(judged)
    if failed is not None:
        return f"{failed.gate}: {failed.reason}; not rolled back, because {situation.stable} has no ready instance"
    if not situation.ready(situation.stable):
        # A version that fails half its requests looks good beside one that answers none: a person decides (0074).
        return (
            f"{situation.stable} has no ready instance, so {situation.candidate} cannot be compared with it: start it, "
            f"or `fairlead promote {situation.route.name}`"
        )
    if state.phase is Phase.CANARY:
        held = steps.hold_reason(
            situation.strategy.steps, situation.weight, observed_s=situation.observed_s, approved=state.approved
        )
        if held:
            return held
    shadow = situation.strategy.shadow
    if state.phase is Phase.SHADOWING and shadow is not None and situation.observed_s < shadow.min_duration:
        return f"the shadow lasts for {format_duration(shadow.min_duration)}"
    blocked = next((one.check for one in judged if one.check.verdict is not Verdict.PASS), None)
    return f"{blocked.gate}: {blocked.reason}" if blocked else ""


def _pause_notice(situation: Situation) -> str:
    state = situation.head.state
    if not state.paused:
        return ""
    if state.paused_until is None:
        return "paused; `fairlead resume` lets it go on"
    return f"paused until {state.paused_until:%Y-%m-%d %H:%M:%S} UTC; `fairlead resume` lets it go on now"


def _rejection_notice(situation: Situation) -> str:
    rejected = situation.rejected(situation.route.spec.target_ref)
    if rejected is None or rejected.ref == situation.stable:
        return ""
    return (
        f"{rejected.ref} was rejected in revision {situation.route.name}.{rejected.revision} ({rejected.reason}); "
        f"release another version, or when the cause is fixed: `fairlead retry {situation.route.name}`"
    )
