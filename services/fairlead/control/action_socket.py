"""The action socket: receives actions (rollback, pause, ...) on a Unix socket in the state folder, as JSON lines.

It is a socket and not part of the HTTP API for two reasons: only its owner can connect, so a web page cannot roll a
model back; and the kernel identifies the user who connects. A client needs neither the contracts nor the store, so the
commands of actions start quickly. For the same reasons it gives out the codes with which its owner signs in to the
console.
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
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts import json_text, sockets
from fairlead.control.asking import Actor, Asking

MAX_BYTES = 64 << 10
SignIn = Callable[[Actor, int | None], str]
"""Gives a code for the console to an actor with this user id, None where the system does not tell it."""


class ActionSocket:
    """Listens from construction until close(); each request runs on its own thread."""

    def __init__(self, path: Path, asking: Asking, sign_in: SignIn) -> None:
        self._asking, self._sign_in = asking, sign_in
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

    def _answer(self, line: bytes, uid: int | None) -> dict[str, Any]:
        try:
            asked = _parse(line)
            actor = Actor.of(asked.get("actor"), _user(uid))
            if asked.get("type") == sockets.SIGN_IN:
                return {"code": self._sign_in(actor, uid)}
            action = self._asking.ask(asked, actor)
        except errors.FairleadError as error:
            return {"error": {"kind": type(error).__name__, "message": error.message, "hint": error.hint}}
        return {"action": action.to_json(), "versions": self._asking.other_versions(action)}


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


def _peer(connection: socket.socket) -> int | None:
    """The user id of the connecting process, from the kernel; None on systems without SO_PEERCRED."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
    return int(uid)


def _user(uid: int | None) -> str | None:
    if uid is None:
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
