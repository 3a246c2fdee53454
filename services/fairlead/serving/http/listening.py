"""The port of a model service. It is open before anything is loaded: a busy port is an error at once."""

from __future__ import annotations

import socket

from fairlead import errors


def listen(host: str, port: int, flag: str = "--port") -> socket.socket:
    """Open the listening socket. Raises Conflict if the port, which `flag` chooses, is busy; Invalid for a bad host."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as cause:
        raise errors.Invalid(
            f"cannot listen on {host}: {cause.strerror}", hint="Choose an address with --host."
        ) from cause
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(2048)
    except OSError as cause:
        listener.close()
        raise errors.Conflict(
            f"cannot listen on {host}, port {port}: {cause.strerror}", hint=f"Choose another port with {flag}."
        ) from cause
    listener.setblocking(False)
    return listener


def url(listener: socket.socket, scheme: str = "http") -> str:
    """The address of a listening socket, for people."""
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
