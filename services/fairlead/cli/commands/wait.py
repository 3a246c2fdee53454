"""`fairlead wait`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from fairlead import errors
from fairlead.cli import exit_codes, health_lines
from fairlead.cli.connect import connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    StateOption,
)
from fairlead.cli.output import moment, percent, print_json, say
from fairlead.cli.state_age import StateAge, state_age
from fairlead.contracts.base import Duration
from fairlead.contracts.health import health_of
from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import Route
from fairlead.contracts.status import Reason, Status
from fairlead.store.statuses import read_status
from fairlead.views.health import in_words

_HELD = (Reason.PAUSED, Reason.AWAITING_APPROVAL, Reason.BREAKING_TYPES)
DOWN_AFTER_S = 30.0
"""How long a model must be down until `wait` ends: a restart of its only instance is shorter."""


@dataclass(frozen=True)
class End:
    """How a rollout ended, or why it is held."""

    code: int
    outcome: str
    detail: str
    next: str = ""
    """What helps: a command, or what to read; empty if nothing is to be done."""


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    timeout: Annotated[str, typer.Option(help="How long to wait at most, such as 90s, 10m or 1h.")] = "10m",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Wait until the rollout of the target ends. Use it in a pipeline, after `fairlead release`.

    Exit codes: 0 the target serves, 10 rolled back, 11 held (paused, or waiting for approval), 12 timed out,
    13 the model is down.
    """
    location = PlatformLocation(state, context, namespace)
    end = _wait(location, model, _seconds(timeout))
    if as_json:
        print_json(
            {"model": model, "outcome": end.outcome, "detail": end.detail, "exitCode": end.code}
            | {"command": end.next if end.next.startswith(("fairlead ", "kubectl ")) else None}
        )
    else:
        say(f"{model}: {end.outcome}: {location.in_text(end.detail)}")
        if end.next:
            say(f"next: {end.next}")
    raise typer.Exit(end.code)


def _wait(location: PlatformLocation, model: str, timeout_s: float) -> End:
    connection = connect(location)
    store, deadline, is_told = connection.store, time.monotonic() + timeout_s, False
    while True:
        now, route, head, status = datetime.now(UTC), store.route(model), store.head(model), read_status(store, model)
        age = state_age(location, store, now)
        # Of an old status it is not known whether it is still so.
        end = ended(route, head, None if age.problem else status, now)
        if end is None and age.is_stopped:
            raise errors.Unavailable(f"{age.problem}, so nothing serves {model}", hint=age.hint)
        if end is None and time.monotonic() > deadline:
            end = _timed_out(timeout_s, status, age)
        if end is not None:
            return replace(end, next=_next(end, model, status, age, location))
        health = health_of(status)
        if health.is_down and not age.problem and not is_told:
            is_told = True
            words = in_words(health, now)
            say(f"{model}: {words}; waiting up to {DOWN_AFTER_S:g} s for it", to=sys.stderr)
        time.sleep(connection.poll_interval_s)


def _next(end: End, model: str, status: Status | None, age: StateAge, location: PlatformLocation) -> str:
    """What helps. A target that serves needs nothing; an end without a command of its own is explained by `status`."""
    if end.code == exit_codes.OK:
        return ""
    if end.code == exit_codes.ROLLED_BACK:
        return location.with_options(f"fairlead history {model} --evidence")
    if age.problem:
        return age.hint
    found = health_lines.next_step(health_of(status), location)
    return found or location.with_options(f"fairlead status {model}")


def _timed_out(timeout_s: float, status: Status | None, age: StateAge) -> End:
    health = health_of(status)
    why = age.problem or (status.waiting if status else "") or "the rollout is in progress"
    if health.is_down and not age.problem:
        return End(exit_codes.DOWN, "down", f"after {timeout_s:g} s; {health.reason}")
    return End(exit_codes.TIMED_OUT, "timed out", f"after {timeout_s:g} s; {why}")


def ended(route: Route, head: Revision | None, status: Status | None, now: datetime) -> End | None:
    """How the rollout of the current target ended, or that it waits for a person; None while it is in progress.

    A model that is down ends nothing for `DOWN_AFTER_S`, and then ends it as down, whatever its rollout does: promoted,
    rejected or held.
    """
    if head is None or not _is_read(route, head, status):
        return None
    target, health = route.spec.target_ref, health_of(status)
    rejected = head.state.rejection_of(target)
    if head.state.phase is not Phase.STABLE and head.state.target == target:
        rejected = None
    # The revision that rejected it, not the head: much may have happened since.
    why = f"{target} in revision {route.name}.{rejected.revision}: {rejected.reason}" if rejected is not None else ""
    if health.is_down:
        if health.since is not None and (now - health.since).total_seconds() < DOWN_AFTER_S:
            return None  # a restart, perhaps
        since = f" since {moment(health.since)}" if health.since is not None else ""
        detail = f"{health.reason}{since}; revision {head.id}" + (f"; rolled back: {why}" if why else "")
        return End(exit_codes.DOWN, "down", detail)
    if why:
        return End(exit_codes.ROLLED_BACK, "rolled back", why)
    if status is None or status.seq != head.seq:
        return None  # the status describes an older revision; the next one follows at once
    if head.table.stable == target and head.state.phase is Phase.STABLE:
        return _served(head) if health.serves else None
    progressing = status.condition("Progressing")
    if progressing is not None and progressing.reason in _HELD:
        return End(
            exit_codes.HELD, "held", f"at {percent(head.table.weight)}, revision {head.id}: {progressing.message}"
        )
    return None


def _is_read(route: Route, head: Revision, status: Status | None) -> bool:
    """Whether the engine has acted on this spec. A spec with the same meaning as the one before gets no revision."""
    if head.generation >= route.generation:
        return True
    return status is not None and status.seq == head.seq and status.observed_generation >= route.generation


def _served(head: Revision) -> End:
    is_cold = ", and is cold: the next request starts it" if head.table.stable in head.table.cold else ""
    serves = f"{head.table.stable} serves everything, revision {head.id}{is_cold}"
    if head.state.promoted_at is None or head.state.target != head.table.stable:
        return End(exit_codes.OK, "serves already", f"{serves}; no release of it is in progress")
    return End(exit_codes.OK, "promoted", serves)


def _seconds(text: str) -> float:
    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise errors.Invalid(f"--timeout {text}: not a duration", hint="write it like 90s, 10m or 1h") from None
