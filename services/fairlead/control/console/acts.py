"""What a person may ask for now from the page of a model, and what each button stands for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from fairlead import errors
from fairlead.contracts.action import ActionType
from fairlead.contracts.bound_action import BINDING, bound
from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.status import Reason, Status

_NUMBERS = frozenset(BINDING)
_OPTIONS = frozenset({"toRevision", "evenIfStableServes"})


@dataclass(frozen=True, slots=True)
class Act:
    """One button. `value` is sent: the request, with the attempt, the step and the spec that the page shows."""

    verb: str
    label: str
    effect: str
    value: str
    needs_yes: bool = False
    """Whether a box must be ticked as well."""


def acts(status: Status, head: Revision, generation: int) -> tuple[Act, ...]:
    """The requests that make sense in this state. `generation` is that of the spec. The engine still may refuse."""

    def act(verb: ActionType, label: str, effect: str, *, needs_yes: bool = False, **options: str) -> Act:
        seen = bound(verb, head.state.attempt, head.state.step, head.generation, generation)
        return Act(verb, label, effect, urlencode({"type": verb.value, **seen, **options}), needs_yes)

    return (
        *_of_the_rollout(status, head.state.step + 1, act),
        *(_of_the_candidate(status, act) if status.candidate is not None else _of_stable(status, act)),
    )


def _of_the_rollout(status: Status, step: int, act: Callable[..., Act]) -> Iterator[Act]:
    progressing = status.condition("Progressing")
    if progressing is not None and progressing.reason == Reason.AWAITING_APPROVAL:
        yield act(ActionType.APPROVE, f"Approve step {step}", f"{status.candidate} may go on to the next weight.")
    if status.paused:
        yield act(ActionType.RESUME, "Resume", "The rollout goes on in this step.")
    elif status.phase not in (None, Phase.STABLE):
        yield act(ActionType.PAUSE, "Pause", "Step and weight stay, and no guard rolls back, until it is resumed.")


def _of_the_candidate(status: Status, act: Callable[..., Act]) -> Iterator[Act]:
    stable, candidate = status.stable, status.candidate
    yield act(ActionType.ROLLBACK, f"Roll back to {stable}", f"{candidate} gets no more requests, at once.")
    promote, everyone = f"Promote {candidate}", f"Everyone gets {candidate}, at once"
    if status.ready.get("stable", 0):
        effect = f"{everyone}. The gates are skipped, although {stable} serves."
        yield act(ActionType.PROMOTE, promote, effect, needs_yes=True, evenIfStableServes="true")
    else:
        yield act(ActionType.PROMOTE, promote, f"{everyone}: {stable} has no ready instance.", needs_yes=True)


def _of_stable(status: Status, act: Callable[..., Act]) -> Iterator[Act]:
    stable, accepted = status.stable, status.condition("TargetAccepted")
    is_rejected = accepted is not None and not accepted.status
    if not status.ready.get("stable", 0) and status.returnable:
        to = status.returnable[0]
        yield act(ActionType.ROLLBACK, f"Roll back to {to}", f"{stable} has no ready instance.", toRevision=to)
    elif status.previous not in (None, stable) and not is_rejected:
        effect = f"The promotion of {stable} is undone, at once."
        yield act(ActionType.ROLLBACK, f"Roll back to {status.previous}", effect)
    if is_rejected and status.target != stable:
        effect = f"{status.target} begins again at the first step. Do this when the cause is fixed."
        yield act(ActionType.RETRY, f"Try {status.target} again", effect)


def asked(value: str) -> dict[str, str | int | bool]:
    """The request that a button stands for. Raises Invalid if it is none of a page."""
    found: dict[str, str | int | bool] = {}
    for name, text in parse_qsl(value, max_num_fields=8):
        if name in _NUMBERS and text.isdecimal() and len(text) < 16:  # noqa: PLR2004 - no revision has more digits
            found[name] = int(text)
        elif name == "type" or name in _OPTIONS:
            found[name] = True if text == "true" else text
        else:
            raise _no_button(value)
    if found.get("type") not in tuple(ActionType) or "attempt" not in found:
        raise _no_button(value)
    return found


def _no_button(value: str) -> errors.Invalid:
    return errors.Invalid(f"{value[:80]!r} is no request of a page", hint="load the page of the model again")
