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
    PlatformLocation,
    ReasonOption,
    StateOption,
)


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
    to: Annotated[
        str | None, typer.Option("--to", help="Return to the version of this revision (12 or iris.12).")
    ] = None,
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
        to_revision=_sequence(to, model),
    )


def _sequence(text: str | None, model: str) -> int | None:
    if text is None:
        return None
    number = text.removeprefix(f"{model}.")
    if not number.isdigit():
        raise errors.Invalid(f"--to {text}: not a revision of {model}", hint=f"list them: fairlead history {model}")
    return int(number)
