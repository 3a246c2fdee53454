"""Ports on loopback: whether one is free, and one that is."""

from __future__ import annotations

import socket

from fairlead import errors

LOOPBACK = "127.0.0.1"


def require_free(port: int, what: str, flag: str) -> None:
    """Raises Conflict naming the port, what wanted it, and the flag that changes it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise errors.Conflict(
                f"port {port}, wanted for {what}, cannot be used: {error.strerror}", hint=f"choose another: {flag} PORT"
            ) from error


def is_free(port: int) -> bool:
    """Whether somebody could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def pick(taken: set[int]) -> int:
    """A free port that is not among `taken` (ports promised to processes that do not listen yet)."""
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
