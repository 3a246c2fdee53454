"""`fairlead approve`."""

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
    """Let the rollout take the step that waits for a person."""
    ask(state, model, ActionType.APPROVE, reason=reason, as_json=as_json)
