"""Sends an action to the engine and waits for the outcome: `rollback`, `promote`, `approve`, `pause` and so on.

The action goes to the control plane's action socket (`control.action_socket`). This module imports neither pydantic
nor the store, so that an on-call engineer's rollback does not wait for imports.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer

from fairlead import errors
from fairlead.cli import optional_modules
from fairlead.cli.options import (
    DEFAULT_STATE,
    NO_PLATFORM_HINT,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    ReasonOption,
    StateOption,
)
from fairlead.contracts import sockets
from fairlead.contracts.spelling import to_option
from fairlead.logs import shown

RECONNECT_TIMEOUT_S = 15.0
"""How long to retry while the control plane is restarted. The supervisor restarts it within seconds."""
RESPONSE_TIMEOUT_S = 10.0


def command_for(verb: str, help: str) -> Callable[..., None]:
    """Make the command of an action whose only argument is the model."""

    def command(
        model: Annotated[str, typer.Argument(metavar="MODEL", help="The model.")],
        reason: ReasonOption = "",
        state: StateOption = DEFAULT_STATE,
        context: ContextOption = None,
        namespace: NamespaceOption = None,
        as_json: JsonOption = False,
    ) -> None:
        ask(PlatformLocation(state, context, namespace), model, verb, reason=reason, as_json=as_json)

    command.__doc__ = help
    return command


def ask(
    location: PlatformLocation,
    model: str,
    verb: str,
    *,
    reason: str,
    as_json: bool,
    options: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Send an action, wait for the engine, and print the outcome. `options` are those of `contracts.action.OPTIONS`.

    Raises Refused with the engine's reason, and Unavailable when the control plane does not respond. Sending the same
    request again after a lost response is safe: the engine carries out a request once, by its name.
    """
    if location.in_cluster:
        cluster = optional_modules.load("fairlead.cli.cluster")
        answer = cluster.ask(location.context, location.namespace, model, verb, reason=reason, options=options)
        _print_outcome(answer, location, model, verb, as_json=as_json)
        return
    request = {
        "name": f"{verb}-{uuid.uuid4().hex[:12]}",
        "model": model,
        "type": verb,
        "reason": reason,
        "actor": os.environ.get("FAIRLEAD_ACTOR"),
        "createdAt": datetime.now(UTC).isoformat(),
        **_seen_attempt(location.state, model, verb),
        **options,
    }
    response = _send_with_retries(location.state, json.dumps(request).encode() + b"\n", model, verb)
    _print_outcome(_parse_response(response), location, model, verb, as_json=as_json)


def sign_in(state: Path) -> str:
    """A code that signs a browser in to the console, once. Raises Unavailable when the control plane is silent."""
    request = {"type": sockets.SIGN_IN, "actor": os.environ.get("FAIRLEAD_ACTOR")}
    response = _send_with_retries(state, json.dumps(request).encode() + b"\n", "the console", sockets.SIGN_IN)
    return str(_parse_response(response)["code"])


def _seen_attempt(state: Path, model: str, verb: str) -> dict[str, int]:
    ledger = state / "ledger.db"
    if not ledger.exists():
        return {}
    found: dict[str, int] = optional_modules.load("fairlead.cli.seen_attempt").seen_attempt(ledger, model, verb)
    return found


def _print_outcome(answer: dict[str, Any], location: PlatformLocation, model: str, verb: str, *, as_json: bool) -> None:
    action, look = answer["action"], location.with_options(f"fairlead status {model}")
    message = location.in_text(action["message"])
    if as_json:
        print(json.dumps(action))
    if action["outcome"] == "expired":
        raise errors.Conflict(
            f"{verb} of {model} came too late: {message}",
            hint=f"see what {model} serves: {look}",
        )
    if action["outcome"] == "refused":
        raise errors.Refused(
            f"{verb} of {model} was refused: {message}",
            hint=_other_versions(answer, model) or f"see what {model} serves: {look}",
        )
    if action["outcome"] == "pending":
        raise errors.Unavailable(
            f"{verb} of {model} is stored as {action['name']}; the engine has not processed it yet",
            hint=f"the engine still processes it until {action['expiresAt']}; check with: {look}",
        )
    if not as_json:
        print(shown(f"{model}: {verb} accepted, revision {model}.{action['revision']}. {message}".rstrip()))


def _other_versions(answer: dict[str, Any], model: str) -> str:
    """A control plane of an earlier release does not list them."""
    versions = answer.get("versions")
    if not versions:
        return ""
    example = f"fairlead rollback {model} --to {to_option(versions[0])}"
    return f"versions to go back to: {', '.join(versions)}; for example {example}"


def _send_with_retries(state: Path, request: bytes, model: str, verb: str) -> bytes:
    """Retry while the control plane is restarted. Raises Unavailable after RECONNECT_TIMEOUT_S."""
    path = state / sockets.ACTIONS
    log = state / "logs" / "control-plane.log"
    if not path.exists():
        raise _no_platform(state)
    deadline = time.monotonic() + RECONNECT_TIMEOUT_S
    while True:
        try:
            return _send(path, request)
        except (ConnectionError, FileNotFoundError) as error:
            if _is_stopped(state):
                raise _no_platform(state) from error
            if time.monotonic() > deadline:
                raise errors.Unavailable(
                    f"the control plane of {state.absolute()} did not respond within {RECONNECT_TIMEOUT_S:g} s",
                    hint="check that `fairlead up` is still running; see logs/control-plane.log in that folder",
                ) from error
        except TimeoutError as error:
            raise errors.Unavailable(
                f"the control plane did not answer within {RESPONSE_TIMEOUT_S:g} s; "
                f"it may still carry out the request ({verb} of {model})",
                hint=f"check `fairlead history {model}`; read {log}",
            ) from error
        except OSError as error:
            denied = isinstance(error, PermissionError)
            raise errors.Unavailable(
                f"the request to the control plane failed: {error}",
                hint="run the command as the user who ran `fairlead up`" if denied else f"read {log}",
            ) from error
        time.sleep(0.05)


def _no_platform(state: Path) -> errors.Unavailable:
    known = (state / "ledger.db").exists()
    return errors.Unavailable(
        f"the platform in {state.absolute()} is not running"
        if known
        else f"there is no platform in {state.absolute()}",
        hint="start it with `fairlead up`" if known else NO_PLATFORM_HINT,
    )


def _is_stopped(state: Path) -> bool:
    """Whether no `fairlead up` runs that would start the control plane again. Not known is no."""
    if not (state / "lock").exists():
        return False
    folder = optional_modules.load("fairlead.local.state").StateFolder(state)
    try:
        return not folder.is_running() and not folder.orphans()
    except OSError:
        return False  # another user's folder


def _send(path: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(RESPONSE_TIMEOUT_S)
        connection.connect(sockets.address(path))
        connection.sendall(request)
        response = connection.makefile("rb").readline()
    if not response:
        raise ConnectionResetError("the control plane closed the connection without a response")
    return response


def _parse_response(response: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(response)
    if error := document.get("error"):
        kind = getattr(errors, error["kind"], errors.FairleadError)
        raise kind(error["message"], hint=error["hint"])
    return document
