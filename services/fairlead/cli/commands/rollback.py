"""`fairlead rollback`."""

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
    Place,
    ReasonOption,
    StateOption,
)


def command(
    model: Annotated[str, typer.Argument(help="The model.")],
    to: Annotated[
        str | None, typer.Option("--to", help="A revision (12 or iris.12) whose version shall serve.")
    ] = None,
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back at once: end the running rollout, or return to the version before the last promotion."""
    ask(
        Place(state, context, namespace),
        model,
        "rollback",
        reason=reason,
        as_json=as_json,
        to_revision=_sequence(to, model),
    )


def _sequence(text: str | None, model: str) -> int | None:
    if text is None:
        return None
    number = text.removeprefix(f"{model}.")
    if not number.isdigit():
        raise errors.Invalid(f"--to {text}: not a revision of {model}; `fairlead history {model}` lists them")
    return int(number)
