"""`fairlead retry`."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.cli.ask import ask
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
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try the target again after it was rolled back: a new attempt, from the first step."""
    ask(Place(state, context, namespace), model, "retry", reason=reason, as_json=as_json)
