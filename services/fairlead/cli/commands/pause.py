"""`fairlead pause`."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli.action_client import ask
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    ReasonOption,
    StateOption,
)
from fairlead.contracts.action import PAUSE_LIMITS_S, pause_limits
from fairlead.contracts.base import seconds_of


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    lasts: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="End the pause by itself after 30s, 30m, 2h or 1d.")
    ] = None,
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pause a rollout: step and weight stay, and no guard rolls back, until `fairlead resume` or the end of --for."""
    ask(
        PlatformLocation(state, context, namespace),
        model,
        "pause",
        reason=reason,
        as_json=as_json,
        options={"pauseFor": lasts if lasts is None else _checked(lasts)},
    )


def _checked(text: str) -> str:
    seconds = seconds_of(text)
    if seconds is None:
        raise errors.Invalid(f"--for {text}: not a duration", hint="write it like 90s, 30m, 2h or 1h30m")
    if not PAUSE_LIMITS_S[0] <= seconds <= PAUSE_LIMITS_S[1]:
        raise errors.Invalid(f"--for {text}: {pause_limits()}")
    return text
