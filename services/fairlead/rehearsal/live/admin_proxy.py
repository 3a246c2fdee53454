"""A proxy between the control plane and Envoy's admin page, which simulates failures of that page.

The proxy listens on the socket where Envoy's admin page usually is, and which the gateway's port reads; the page itself
is another socket. `refuse_counters` fails only the requests for counters; `drop_requests` closes every connection
without a response, which at the gateway's port is a 503.
"""

from __future__ import annotations

import http.client
import os
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from fairlead.contracts import sockets
from fairlead.local.probe import SocketConnection

COUNTERS_PARAMETER = "histogram_buckets"
"""A query parameter that only the requests for counters have."""
TIMEOUT_S = 5.0


class AdminProxy(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens on the socket `path` and forwards to the socket `target`, with a thread per connection."""

    daemon_threads = True

    def __init__(self, path: Path, target: Path) -> None:
        self.path, self.target = path, target
        self.refuse_counters = False
        self.drop_requests = False
        mask = os.umask(0o177)  # only the owner may connect, as to the page itself
        try:
            super().__init__(sockets.address(path), _ProxyHandler)
        finally:
            os.umask(mask)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="admin-proxy", daemon=True)

    def start(self) -> None:
        """Start forwarding."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and remove the socket."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        self.path.unlink(missing_ok=True)


class _ProxyHandler(BaseHTTPRequestHandler):
    server: AdminProxy
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self._upstream = SocketConnection(self.server.target, timeout_s=TIMEOUT_S)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def do_GET(self) -> None:  # noqa: N802
        self._forward()

    def do_POST(self) -> None:  # noqa: N802
        self._forward()

    def _forward(self) -> None:
        if self.server.drop_requests:
            self.close_connection = True
            return
        if self.server.refuse_counters and COUNTERS_PARAMETER in self.path:
            self._reply(503, b"")
            return
        try:
            self._upstream.request(self.command, self.path)
            response = self._upstream.getresponse()
            self._reply(response.status, response.read())
        except (OSError, http.client.HTTPException):
            # The connection ends with the one to Envoy, so that the client notices a restarted Envoy.
            self.close_connection = True

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing: there are ten requests a second."""
