"""What stands between control plane and gateway's admin address, so that a scenario can take it away.

The control plane asks the address it always asks; the gateway has another one. `deaf` refuses the page of counters and
nothing else, as an admin page does that is too slow; `silent` answers nothing at all.
"""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LOOPBACK = "127.0.0.1"
COUNTERS = "histogram_buckets"
"""Only who reads evidence asks for these."""
TIMEOUT_S = 5.0


class AdminProxy(ThreadingHTTPServer):
    """Listens on `port`, passes everything on to `to`. A thread for every connection; there are three."""

    daemon_threads = True

    def __init__(self, port: int, to: int) -> None:
        self.to = to
        self.deaf = False
        self.silent = False
        super().__init__((LOOPBACK, port), _Passing)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="relay", daemon=True)

    def start(self) -> None:
        """Begin to pass on."""
        self._thread.start()

    def stop(self) -> None:
        """End, and give the port back."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Passing(BaseHTTPRequestHandler):
    server: AdminProxy
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self._far = http.client.HTTPConnection(LOOPBACK, self.server.to, timeout=TIMEOUT_S)

    def finish(self) -> None:
        self._far.close()
        super().finish()

    def do_GET(self) -> None:  # noqa: N802
        self._pass_on()

    def do_POST(self) -> None:  # noqa: N802
        self._pass_on()

    def _pass_on(self) -> None:
        if self.server.silent:
            self.close_connection = True
            return
        if self.server.deaf and COUNTERS in self.path:
            self._reply(503, b"")
            return
        try:
            self._far.request(self.command, self.path)
            answer = self._far.getresponse()
            self._reply(answer.status, answer.read())
        except (OSError, http.client.HTTPException):
            # Whoever asks must see that it is another process next time: its connection ends with the far one.
            self.close_connection = True

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: what is asked ten times a second is no news."""
