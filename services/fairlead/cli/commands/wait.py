"""`fairlead wait`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from fairlead import errors
from fairlead.cli import exits
from fairlead.cli.connect import DEFAULT_STATE, JsonOption, StateOption, connect
from fairlead.cli.output import percent, print_json
from fairlead.contracts.base import Duration
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route
from fairlead.store.base import Store

LOOK_S = 0.1


@dataclass(frozen=True)
class End:
    """How a rollout ended, or why it stands still."""

    code: int
    word: str
    detail: str


def command(
    model: Annotated[str, typer.Argument(help="The model.")],
    timeout: Annotated[str, typer.Option(help="How long at most: 90s, 10m, 1h.")] = "10m",
    state: StateOption = DEFAULT_STATE,
    as_json: JsonOption = False,
) -> None:
    """Wait until the rollout of the target has ended. Exit code 0 promoted, 10 rolled back, 11 held, 12 timed out."""
    store = connect(state).store
    end = _wait(store, model, _seconds(timeout))
    if as_json:
        print_json({"model": model, "outcome": end.word, "detail": end.detail, "exitCode": end.code})
    else:
        print(f"{model}: {end.word}: {end.detail}")
    raise typer.Exit(end.code)


def _wait(store: Store, model: str, timeout_s: float) -> End:
    deadline = time.monotonic() + timeout_s
    said = None
    while True:
        route, head = store.route(model), store.head(model)
        end = ended(route, head)
        if end is not None:
            return end
        said = _tell(head, said)
        if time.monotonic() > deadline:
            return End(exits.TIMED_OUT, "timed out", f"after {timeout_s:g} s; {said or 'nothing serves yet'}")
        time.sleep(LOOK_S)


def ended(route: Route, head: Revision | None) -> End | None:
    """How the rollout of the present target ended; None while it goes on."""
    if head is None or head.generation < route.generation:
        return None
    wanted = route.spec.wanted
    for rejected in head.state.rejected:
        if rejected.ref == wanted:
            return End(exits.ROLLED_BACK, "rolled back", rejected.reason)
    if head.table.stable == wanted and head.table.candidate is None:
        return End(exits.OK, "promoted", f"{wanted} serves everything, revision {head.id}")
    if head.state.paused:
        return End(exits.HELD, "held", f"paused at {percent(head.table.weight)}, revision {head.id}")
    if _awaits_approval(route, head):
        following = route.spec.strategy.steps[head.state.step + 1].weight
        return End(exits.HELD, "held", f"the step to {percent(following)} waits for `fairlead approve {route.name}`")
    return None


def _seconds(text: str) -> float:
    try:
        return TypeAdapter(Duration).validate_python(text)
    except ValidationError:
        raise errors.Invalid(f"--timeout {text}: not a duration; write 90s, 10m or 1h") from None
