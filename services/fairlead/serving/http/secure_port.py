"""The port with TLS: its socket, and the context that its connections begin with.

Light: the master of several workers, which loads no web framework, opens it too.
"""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass
from typing import Any

from fairlead.serving.http import listening
from fairlead.serving.settings import Settings
from fairlead.tls import FileContext, Files

GOODBYE_S = 1.0
"""Seconds that a connection which this service closes waits for the client to agree."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SecurePort:
    """A listening socket, and what its connections begin with."""

    listener: socket.socket
    context: FileContext
    handshake_s: float

    @property
    def options(self) -> dict[str, Any]:
        """The event loop's options for its connections."""
        limits = {"ssl_handshake_timeout": self.handshake_s, "ssl_shutdown_timeout": GOODBYE_S}
        return {"ssl": self.context, **limits}

    def tell(self) -> None:
        """Write where it listens to the log."""
        logger.info("listening with TLS", extra={"url": listening.url(self.listener, "https")})

    def close(self) -> None:
        """Close the socket."""
        self.listener.close()


def secure_port(settings: Settings) -> SecurePort | None:
    """Listen for TLS, if there is a certificate.

    Raises Invalid for files that cannot be used, and Conflict for a busy port.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    context = FileContext(Files(settings.tls_cert, settings.tls_key, settings.tls_client_ca), server=True)
    listener = listening.listen(settings.host, settings.tls_port, "--tls-port")
    return SecurePort(listener, context, handshake_s=settings.receive_s)
