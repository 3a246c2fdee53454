"""`fairlead pause`."""

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
    """Freeze the rollout's step and weight; traffic stays as it is."""
    ask(Place(state, context, namespace), model, "pause", reason=reason, as_json=as_json)
