"""`fairlead promote`."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.cli.action_client import ask
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    EvenIfDownOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    ReasonOption,
    StateOption,
)


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    even_if_stable_serves: Annotated[
        bool,
        typer.Option(
            "--even-if-stable-serves", help="Skip the gates although the stable version has a ready instance."
        ),
    ] = False,
    even_if_down: EvenIfDownOption = False,
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve everyone with the candidate at once, without waiting for the gates. Use it when stable is down."""
    ask(
        PlatformLocation(state, context, namespace),
        model,
        "promote",
        reason=reason,
        as_json=as_json,
        options={"evenIfDown": even_if_down, "evenIfStableServes": even_if_stable_serves},
    )
