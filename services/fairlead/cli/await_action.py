"""Asking the engine and waiting for its answer: what `rollback`, `approve`, `pause`, `resume` and `retry` share."""

from __future__ import annotations

import json
import time
from pathlib import Path

from fairlead import errors
from fairlead.cli.connect import Connection, connect
from fairlead.contracts.action import Action, ActionType, Outcome

ANSWER_WITHIN_S = 5.0
LOOK_S = 0.01


def ask(
    state: Path,
    model: str,
    kind: ActionType,
    *,
    reason: str,
    as_json: bool,
    to_revision: int | None = None,
) -> None:
    """Store the action, wait for the engine, print what it did.

    Raises Refused with the engine's reason, and Unavailable when no engine answered: the action stays stored then,
    and an engine that comes up within its lifetime carries it out.
    """
    connection = connect(state)
    action = connection.act(model, kind, reason=reason, to_revision=to_revision)
    action = _answered(connection, action)
    if as_json:
        print(json.dumps(action.to_json()))
    if action.outcome in (Outcome.REFUSED, Outcome.EXPIRED):
        raise errors.Refused(f"{kind.value} of {model} was {action.outcome.value}: {action.message}")
    if action.outcome is Outcome.PENDING:
        raise errors.Unavailable(
            f"{kind.value} of {model} is stored as {action.name}, but no control plane answered",
            hint=f"is the platform up? It acts on the request if it comes up before {action.expires_at:%H:%M:%S} UTC",
        )
    if not as_json:
        print(f"{model}: {kind.value} accepted, revision {model}.{action.revision}. {action.message}".rstrip())


def _answered(connection: Connection, action: Action) -> Action:
    deadline = time.monotonic() + ANSWER_WITHIN_S
    while action.outcome is Outcome.PENDING and time.monotonic() < deadline:
        time.sleep(LOOK_S)
        action = connection.action(action.name, action.route)
    return action
