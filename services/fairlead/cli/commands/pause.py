"""`fairlead pause`."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.cli.await_action import ask
from fairlead.cli.connect import DEFAULT_STATE, JsonOption, ReasonOption, StateOption
from fairlead.contracts.action import ActionType


def command(
    model: Annotated[str, typer.Argument(help="The model.")],
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    as_json: JsonOption = False,
) -> None:
    """Freeze the rollout's step and weight; traffic stays as it is."""
    ask(state, model, ActionType.PAUSE, reason=reason, as_json=as_json)
