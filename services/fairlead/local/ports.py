"""Ports on loopback: checking whether one is free, and picking a free one."""

from __future__ import annotations

import socket

from fairlead import errors

LOOPBACK = "127.0.0.1"


def require_free(port: int, what: str, hint: str) -> None:
    """Raises Conflict if the port is in use; the message names the port and its purpose, `hint` what changes it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise errors.Conflict(f"port {port} for {what} cannot be used: {error.strerror}", hint=hint) from error


def is_free(port: int) -> bool:
    """Whether a process could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def pick(taken: set[int]) -> int:
    """A free port that is not in `taken` (ports assigned to processes that do not listen yet)."""
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
