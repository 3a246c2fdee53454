"""`fairlead wait`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from fairlead import errors
from fairlead.cli import exit_codes
from fairlead.cli.connect import connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    StateOption,
)
from fairlead.cli.output import percent, print_json
from fairlead.contracts.base import Duration
from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import Route
from fairlead.contracts.status import Status
from fairlead.store.base import Store

_HELD = ("Paused", "AwaitingApproval")


@dataclass(frozen=True)
class End:
    """How a rollout ended, or why it is held."""

    code: int
    outcome: str
    detail: str


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    timeout: Annotated[str, typer.Option(help="How long to wait at most, such as 90s, 10m or 1h.")] = "10m",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Wait until the rollout of the target ends. Use it in a pipeline, after `fairlead release`.

    Exit codes: 0 promoted, 10 rolled back, 11 held (paused, or waiting for approval), 12 timed out.
    """
    connection = connect(PlatformLocation(state, context, namespace))
    end = _wait(connection.store, model, _seconds(timeout), connection.poll_interval_s)
    if as_json:
        print_json({"model": model, "outcome": end.outcome, "detail": end.detail, "exitCode": end.code})
    else:
        print(f"{model}: {end.outcome}: {end.detail}")
    raise typer.Exit(end.code)


def _wait(store: Store, model: str, timeout_s: float, poll_interval_s: float) -> End:
    deadline = time.monotonic() + timeout_s
    while True:
        route, head = store.route(model), store.head(model)
        written = store.status(model)
        status = Status.model_validate(written) if written else None
        end = ended(route, head, status)
        if end is not None:
            return end
        if time.monotonic() > deadline:
            why = status.waiting if status and status.waiting else "the rollout is in progress"
            return End(exit_codes.TIMED_OUT, "timed out", f"after {timeout_s:g} s; {why}")
        time.sleep(poll_interval_s)


def ended(route: Route, head: Revision | None, status: Status | None) -> End | None:
    """How the rollout of the current target ended, or that it waits for a person; None while it is in progress."""
    if head is None or not _is_read(route, head, status):
        return None
    target = route.spec.target_ref
    rejected = next((one for one in head.state.rejected if one.ref == target), None)
    if rejected is not None and (head.state.phase is Phase.STABLE or head.state.target != target):
        # The revision that rejected it, not the head: much may have happened since.
        where = f"{route.name}.{rejected.revision}"
        return End(exit_codes.ROLLED_BACK, "rolled back", f"{target} in revision {where}: {rejected.reason}")
    if head.table.stable == target and head.state.phase is Phase.STABLE:
        return End(exit_codes.OK, "promoted", f"{head.table.stable} serves everything, revision {head.id}")
    progressing = status.condition("Progressing") if status and status.seq == head.seq else None
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


def _seconds(text: str) -> float:
    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise errors.Invalid(f"--timeout {text}: not a duration", hint="write it like 90s, 10m or 1h") from None
