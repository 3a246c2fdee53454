"""A proxy between the control plane and Envoy's admin page, which simulates failures of that page.

The control plane sends its requests to the usual address, where the proxy listens; Envoy's admin page is at another
one. `refuse_counters` fails only the requests for counters; `drop_requests` closes every connection without a response.
"""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"
COUNTERS_PARAMETER = "histogram_buckets"
"""A query parameter that only the requests for counters have."""
TIMEOUT_S = 5.0


class AdminProxy(ThreadingHTTPServer):
    """Listens on `port` and forwards to `target_port`. It uses a thread per connection; there are three connections."""

    daemon_threads = True

    def __init__(self, port: int, target_port: int) -> None:
        self.target_port = target_port
        self.refuse_counters = False
        self.drop_requests = False
        super().__init__((LOOPBACK, port), _ProxyHandler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="admin-proxy", daemon=True)

    def start(self) -> None:
        """Start forwarding."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and release the port."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _ProxyHandler(BaseHTTPRequestHandler):
    server: AdminProxy
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self._upstream = http.client.HTTPConnection(LOOPBACK, self.server.target_port, timeout=TIMEOUT_S)

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
