"""`fairlead rollback`."""

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
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Return to this version (1.0.0), or to that of a revision (12 or iris.12). Version 12: version:12.",
        ),
    ] = None,
    even_if_down: EvenIfDownOption = False,
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Return to the previous version at once: end the rollout in progress, or undo the last promotion."""
    ask(
        PlatformLocation(state, context, namespace),
        model,
        "rollback",
        reason=reason,
        as_json=as_json,
        options={"toRevision": _named(to, model), "evenIfDown": even_if_down},
    )


def _named(to: str | None, model: str) -> str | int | None:
    """A revision as its number. What else the text may be is known only where the ledger is."""
    number = to.removeprefix(f"{model}.") if to is not None else ""
    return int(number) if number != to and number.isdigit() else to
