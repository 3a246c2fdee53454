"""Stands in for processes that Prometheus scrapes: a page with the series that a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def exporting(series: Callable[[], str]) -> Iterator[str]:
    """Serve lines in the text format on loopback during a block. Yields the address, such as `127.0.0.1:20000`."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            with suppress(BrokenPipeError):  # Prometheus waits no longer
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(series().encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: there is a request a second."""

    with serving(Page) as address:
        yield address


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Run a server of HTTP on loopback in a thread during a block. Yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
