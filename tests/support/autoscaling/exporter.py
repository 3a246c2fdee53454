"""Stands in for model services that have a load: a page for Prometheus with the requests that are in flight."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fairlead.contracts.telemetry import MODEL_IN_FLIGHT


@contextmanager
def exporting(model: str, version: str, in_flight: Callable[[], float]) -> Iterator[str]:
    """Serve the page on loopback during a block. Yields its address, such as `127.0.0.1:20000`."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
            series = f'{MODEL_IN_FLIGHT.name}{{model="{model}",version="{version}"}} {in_flight()}\n'
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(series.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing: there is a request a second."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
