"""The door: people's requests to the engine come in over a Unix socket in the state folder, one line of JSON each.

A socket and not the HTTP API, for two reasons: only the folder's owner can open it, so a web page cannot roll a model
back; and the kernel tells who asks. Whoever knocks needs neither our contracts nor the store, so that a rollback's
start-up is short.
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
from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route

ANSWER_WITHIN_S = 5.0
"""How long a request waits for the engine; it stays stored afterwards, and is carried out within its lifetime."""
LIFETIME = timedelta(minutes=10)
MAX_BYTES = 64 << 10
LONGEST_PATH = 100
"""What a socket's address may measure on every system we run on (104 to 108)."""
_LOOK_S = 0.005


class Requests(Protocol):
    """What the door needs of the store."""

    def route(self, name: str) -> Route: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102
    def create_action(self, action: Action) -> Action: ...  # noqa: D102
    def action(self, name: str) -> Action: ...  # noqa: D102


class Door:
    """Listens from the start until close(); each request is answered on a thread of its own."""

    def __init__(self, path: Path, store: Requests, *, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._store = store
        self._answer_within_s = answer_within_s
        self._path = path
        path.unlink(missing_ok=True)  # left by a killed one; the supervisor runs one control plane per folder
        self._server = _Server(_address(path), self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="door")
        self._thread.start()

    def close(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._path.unlink(missing_ok=True)

    def _answer(self, line: bytes, peer: str | None) -> dict[str, Any]:
        try:
            action = self._ask(_parse(line), peer)
        except errors.FairleadError as error:
            return {"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}}
        return {"action": action.to_json()}

    def _ask(self, asked: Mapping[str, Any], peer: str | None) -> Action:
        action = self._store.create_action(self._as_action(asked, peer))
        deadline = time.monotonic() + self._answer_within_s
        while action.outcome is Outcome.PENDING and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            action = self._store.action(action.name)
        return action

    def _as_action(self, asked: Mapping[str, Any], peer: str | None) -> Action:
        """An approval is for the attempt and the step of now: it never approves the next one."""
        model, kind = str(asked.get("model")), str(asked.get("type"))
        self._store.route(model)
        head = self._store.head(model) if kind == ActionType.APPROVE else None
        claimed, now = asked.get("actor"), datetime.now(UTC)
        try:
            return Action.model_validate(
                {
                    "name": asked.get("name"),
                    "route": model,
                    "type": kind,
                    "attempt": head.state.attempt if head else None,
                    "step": head.state.step if head else None,
                    "toRevision": asked.get("toRevision"),
                    "actor": claimed or peer or "unknown",
                    "actorVerified": not claimed and peer is not None,
                    "reason": asked.get("reason") or "",
                    "createdAt": now,
                    "expiresAt": now + LIFETIME,
                }
            )
        except ValidationError as error:
            first = error.errors()[0]
            raise errors.Invalid(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, address: str, answer: Any) -> None:
        self.answer = answer
        mask = os.umask(0o177)  # nobody else may connect
        try:
            super().__init__(address, _Visit)
        finally:
            os.umask(mask)

    def handle_error(self, request: Any, client_address: Any) -> None:
        logging.getLogger("fairlead.control").warning("a request at the door failed", exc_info=True)


class _Visit(socketserver.StreamRequestHandler):
    timeout = 10.0
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):  # who leaves early gets no answer
            line = self.rfile.readline(MAX_BYTES)
            if line:
                self.wfile.write(json.dumps(self.server.answer(line, _peer(self.request))).encode() + b"\n")


def _parse(line: bytes) -> Mapping[str, Any]:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        raise errors.Invalid("a request is one line of JSON") from None
    if not isinstance(asked, dict):
        raise errors.Invalid("a request is a JSON object")
    return asked


def _address(path: Path) -> str:
    """The shorter of the two ways to say it: an address has room for some hundred bytes."""
    address = min(str(path.absolute()), os.path.relpath(path), key=len)
    if len(address.encode()) > LONGEST_PATH:
        raise errors.Invalid(
            f"{path} is too long for a socket's address ({LONGEST_PATH} bytes)",
            hint="start the platform in the folder that holds its state folder",
        )
    return address


def _peer(connection: socket.socket) -> str | None:
    """The user at the other end, as the kernel knows them; None on systems that do not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
