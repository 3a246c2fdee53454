"""What the user of an accepted action is told: its reason, and what follows from it that they may not expect."""

from __future__ import annotations

from fairlead.contracts.acceptance import acceptance_of
from fairlead.contracts.action import Action, ActionType
from fairlead.contracts.labels import ACCEPT_BREAKING
from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import VersionRef
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.steps import percent

_MOVES = (ActionType.ROLLBACK, ActionType.PROMOTE)


def accepted(revision: Revision, action: Action, observation: Observation) -> str:
    """The answer to the action that this revision carries out."""
    # Of a version that is down the note says more than the reason.
    notes = [revision.reason.removesuffix(although_down(revision.table.stable)).rstrip(".")]
    if action.type is ActionType.PAUSE:
        notes.append(_while_paused(revision))
    if action.type is ActionType.RETRY:
        notes.append(_accepted_before(revision))
    if action.type in _MOVES:
        notes += [_not_ready(revision, observation), _away(observation), _still_paused(revision)]
    found = [note for note in notes if note]
    return ". ".join(found)


def although_down(ref: VersionRef) -> str:
    """The end of the reason of a revision that moved users onto a version without a ready instance."""
    return f"; although {ref} had no ready instance"


def _accepted_before(revision: Revision) -> str:
    """Breaking types are accepted for one attempt, and who tries again may think otherwise."""
    used, ref, model = revision.state.accepted, revision.state.target, revision.route
    if used is None or acceptance_of({ACCEPT_BREAKING: used.text}).version != ref.version:
        return ""
    return (
        f"Its breaking types were accepted for attempt {used.attempt} only: it waits at 0 % for "
        f"`fairlead release {model} {ref} --accept-breaking`"
    )


def _while_paused(revision: Revision) -> str:
    """A pause switches guards off, and a person must know that."""
    state, model = revision.state, revision.route
    until = f"{state.paused_until:%Y-%m-%d %H:%M:%S} UTC" if state.paused_until else f"`fairlead resume {model}`"
    if state.phase is Phase.STABLE:
        return f"Until {until}, a release waits before its first weight"
    return (
        f"Until {until} the weight stays at {percent(revision.table.weight)} and the guards are off: whatever "
        f"{state.target} does, it is not rolled back. Failures are still counted, and a guard that has failed rolls "
        f"back when the pause ends. `fairlead rollback {model}` works meanwhile"
    )


def _not_ready(revision: Revision, observation: Observation) -> str:
    stable = revision.table.stable
    return "" if observation.ready.get(stable, 0) else f"{stable} has no ready instance: users get errors until it has"


def _away(observation: Observation) -> str:
    """A gateway that does not answer keeps its table until it is back."""
    away = [one.name for one in observation.gateways if not one.reachable]
    if len(away) == len(observation.gateways):
        return "No gateway answers, so no gateway has it yet"
    if away:
        return f"{', '.join(away)} of {len(observation.gateways)} gateways: no answer, so not there yet"
    return ""


def _still_paused(revision: Revision) -> str:
    return f"The route is still paused: `fairlead resume {revision.route}`" if revision.state.paused else ""
