"""Fixtures: a simulated platform on which one version serves, and an admin page with a set content."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.background import serve_in_background
from unit.rollout.admin_page import AdminPage
from unit.rollout.simulated_platform import Platform


@pytest.fixture
def platform() -> Platform:
    """1.0.0 serves, and two more versions run."""
    platform = Platform()
    platform.deploy()
    platform.settle()
    return platform


@pytest.fixture
def admin() -> Iterator[AdminPage]:
    page = AdminPage()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: apart, each response waits 40 ms for a delayed ACK

        def do_GET(self) -> None:
            page.asked.append(self.path)
            page.connections.add(self.client_address[1])
            body = page.page.encode()
            self.send_response(page.status)
            self.send_header("content-length", str(len(body)))
            if page.closing:
                self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    page.port = server.server_address[1]
    with serve_in_background(server):
        yield page
