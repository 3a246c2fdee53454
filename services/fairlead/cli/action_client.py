"""Asking the engine and waiting for its answer: what `rollback`, `approve`, `pause`, `resume` and `retry` share.

They connect to the control plane's action socket (`control.action_socket`). They import neither pydantic nor the
store: an on-call's rollback must not spend its time on imports.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead import errors
from fairlead.cli import optional_modules
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    Place,
    ReasonOption,
    StateOption,
)

DOOR = "control.sock"
BACK_WITHIN_S = 15.0
"""How long a control plane that was there may take to come back: the supervisor restarts it within seconds."""
ANSWER_WITHIN_S = 10.0


def command_for(verb: str, help: str) -> Callable[..., None]:
    """The command of a verb that needs nothing but the model."""

    def command(
        model: Annotated[str, typer.Argument(help="The model.")],
        reason: ReasonOption = "",
        state: StateOption = DEFAULT_STATE,
        context: ContextOption = None,
        namespace: NamespaceOption = None,
        as_json: JsonOption = False,
    ) -> None:
        ask(Place(state, context, namespace), model, verb, reason=reason, as_json=as_json)

    command.__doc__ = help
    return command


def ask(place: Place, model: str, verb: str, *, reason: str, as_json: bool, to_revision: int | None = None) -> None:
    """Ask, wait for the engine, print what it did.

    Raises Refused with the engine's reason, and Unavailable when nobody answers. Asking again after a lost answer is
    harmless: a request is carried out once, by its name.
    """
    if place.in_cluster:
        cluster = optional_modules.load("fairlead.cli.cluster")
        where = (place.context, place.namespace)
        _tell(cluster.ask(*where, model, verb, reason=reason, to_revision=to_revision), model, verb, as_json)
        return
    request = {
        "name": f"{verb}-{uuid.uuid4().hex[:12]}",
        "model": model,
        "type": verb,
        "reason": reason,
        "toRevision": to_revision,
        "actor": os.environ.get("FAIRLEAD_ACTOR"),
    }
    _tell(_action_in(_insist(place.state, json.dumps(request).encode() + b"\n")), model, verb, as_json)


def _tell(action: dict[str, Any], model: str, verb: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(action))
    if action["outcome"] in ("refused", "expired"):
        raise errors.Refused(f"{verb} of {model} was {action['outcome']}: {action['message']}")
    if action["outcome"] == "pending":
        raise errors.Unavailable(
            f"{verb} of {model} is stored as {action['name']}, but the engine has not answered",
            hint=f"it is carried out if the engine comes to it before {action['expiresAt']}; see `fairlead status`",
        )
    if not as_json:
        print(f"{model}: {verb} accepted, revision {model}.{action['revision']}. {action['message']}".rstrip())


def _insist(state: Path, request: bytes) -> bytes:
    """Knock until somebody answers: the control plane may be on its way back. Raises Unavailable after a while."""
    door = state / DOOR
    if not door.exists():
        known = (state / "ledger.db").exists()
        raise errors.Unavailable(
            f"the platform in {state.absolute()} is not running"
            if known
            else f"there is no platform in {state.absolute()}",
            hint="start it with `fairlead up`" + ("" if known else ", or name its folder with --state"),
        )
    deadline = time.monotonic() + BACK_WITHIN_S
    while True:
        try:
            return _knock(door, request)
        except (ConnectionError, FileNotFoundError) as error:
            if time.monotonic() > deadline:
                raise errors.Unavailable(
                    f"no control plane answers in {state.absolute()}",
                    hint="is `fairlead up` still running? Its log is logs/control-plane.log in that folder",
                ) from error
        except (TimeoutError, OSError) as error:
            raise errors.Unavailable(f"cannot ask the control plane: {error}") from error
        time.sleep(0.05)


def _knock(door: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_WITHIN_S)
        connection.connect(min(str(door.absolute()), os.path.relpath(door), key=len))
        connection.sendall(request)
        answer = connection.makefile("rb").readline()
    if not answer:
        raise ConnectionResetError("the control plane left without an answer")
    return answer


def _action_in(answer: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer)
    if told := document.get("error"):
        kind = getattr(errors, told["kind"], errors.FairleadError)
        raise kind(told["message"], hint=told["hint"])
    action: dict[str, Any] = document["action"]
    return action
