"""The action socket: receives actions (rollback, pause, ...) on a Unix socket in the state folder, as JSON lines.

It is a socket and not part of the HTTP API for two reasons: only its owner can connect, so a web page cannot roll a
model back; and the kernel identifies the user who connects. A client needs neither the contracts nor the store, so the
commands of actions start quickly.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pwd
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts import json_text, sockets
from fairlead.contracts.action import OPTIONS, Action, ActionType, Outcome
from fairlead.contracts.bound_action import BINDING, bound
from fairlead.contracts.earlier_versions import names_to_return_to, revision_named
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route
from fairlead.contracts.spelling import reason_too_long

ANSWER_TIMEOUT_S = 5.0
"""How long a request waits for the engine. After that the action stays stored; the engine may carry it out until it
expires."""
LIFETIME = timedelta(minutes=10)
MAX_BYTES = 64 << 10
_POLL_INTERVAL_S = 0.005


class ActionStore(Protocol):
    """The part of the store that the action socket uses."""

    def route(self, name: str) -> Route: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102
    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]: ...  # noqa: D102
    def instances(self) -> list[Instance]: ...  # noqa: D102
    def create_action(self, action: Action) -> Action: ...  # noqa: D102
    def action(self, name: str) -> Action: ...  # noqa: D102


class ActionSocket:
    """Listens from construction until close(); each request runs on its own thread."""

    def __init__(self, path: Path, store: ActionStore, *, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._store = store
        self._answer_timeout_s = answer_timeout_s
        self._path = path
        path.unlink(missing_ok=True)  # left by a killed process; the supervisor runs one control plane per folder
        self._server = _Server(sockets.address(path), self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="action-socket")
        self._thread.start()

    def close(self) -> None:
        """Accept no more requests."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _answer(self, line: bytes, peer: str | None) -> dict[str, Any]:
        try:
            action = self._ask(_parse(line), peer)
        except errors.FairleadError as error:
            return {"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}}
        return {"action": action.to_json(), "versions": self._other_versions(action)}

    def _ask(self, asked: Mapping[str, Any], peer: str | None) -> Action:
        action = self._store.create_action(self._as_action(asked, peer))
        deadline = time.monotonic() + self._answer_timeout_s
        while action.outcome is Outcome.PENDING and time.monotonic() < deadline:
            time.sleep(_POLL_INTERVAL_S)
            action = self._store.action(action.name)
        return action

    def _other_versions(self, action: Action) -> list[str]:
        """After a refused rollback: the versions that one could return to instead."""
        if action.type is not ActionType.ROLLBACK or action.outcome is not Outcome.REFUSED:
            return []
        route = self._store.route(action.route)
        return names_to_return_to(route, self._store.revisions(route.name), self._store.instances())

    def _as_action(self, asked: Mapping[str, Any], peer: str | None) -> Action:
        """Build the action. It is bound to the attempt that the command saw, or else to the current one."""
        model, kind = str(asked.get("model")), str(asked.get("type"))
        route = self._store.route(model)
        seen = {name: asked[name] for name in BINDING if asked.get(name) is not None} or self._bound(route, kind)
        claimed, since = asked.get("actor"), _asked_at(asked)
        options = {name: asked[name] for name in OPTIONS if asked.get(name) is not None}
        if isinstance(to := options.get("toRevision"), str | int):
            options["toRevision"] = revision_named(to, route, lambda: self._store.revisions(model))
        if why := reason_too_long(str(asked.get("reason") or "")):
            raise errors.Invalid(why)
        try:
            return Action.model_validate(
                {
                    "name": asked.get("name"),
                    "route": model,
                    "type": kind,
                    **seen,
                    **options,
                    "actor": claimed or peer or "unknown",
                    "actorVerified": not claimed and peer is not None,
                    "reason": asked.get("reason") or "",
                    "createdAt": since,
                    "expiresAt": since + LIFETIME,
                }
            )
        except ValidationError as error:
            first = error.errors()[0]
            raise errors.Invalid(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None

    def _bound(self, route: Route, kind: str) -> dict[str, int]:
        head = self._store.head(route.name)
        if head is None:
            return {}
        return bound(kind, head.state.attempt, head.state.step, head.generation, route.generation)


def _asked_at(asked: Mapping[str, Any]) -> datetime:
    """When the command began, by the same clock: a request may wait long for a control plane that hangs."""
    now = datetime.now(UTC)
    try:
        return min(now, datetime.fromisoformat(str(asked.get("createdAt"))))
    except (ValueError, TypeError):
        return now


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, address: str, answer: Any) -> None:
        self.answer = answer
        mask = os.umask(0o177)  # only the owner may connect
        try:
            super().__init__(address, _Handler)
        finally:
            os.umask(mask)

    def handle_error(self, request: Any, client_address: Any) -> None:
        logging.getLogger("fairlead.control").warning("a request on the action socket failed", exc_info=True)


class _Handler(socketserver.StreamRequestHandler):
    timeout = 10.0
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):  # the client disconnected
            line = self.rfile.readline(MAX_BYTES)
            if line:
                self.wfile.write(json.dumps(self.server.answer(line, _peer(self.request))).encode() + b"\n")


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        asked = json_text.read(line)
    except ValueError:
        raise errors.Invalid("the request is not valid JSON", hint="send one JSON object on one line") from None
    if not isinstance(asked, dict):
        raise errors.Invalid("the request is not a JSON object", hint="send one JSON object on one line")
    return asked


def _peer(connection: socket.socket) -> str | None:
    """The user of the connecting process, from the kernel; None on systems without SO_PEERCRED."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
