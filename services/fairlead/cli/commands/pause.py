"""`fairlead pause`."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.cli import optional_modules
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
    length = None if lasts is None else optional_modules.load("fairlead.cli.pause_length").checked(lasts)
    ask(
        PlatformLocation(state, context, namespace),
        model,
        "pause",
        reason=reason,
        as_json=as_json,
        options={"pauseFor": length},
    )
