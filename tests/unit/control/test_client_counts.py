"""What of a gateway's statistics counts for a quota."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fairlead.contracts.gateway import GatewaySite
from fairlead.contracts.quota_use import Reading
from fairlead.control.client_counts import ClientCounts
from support.background import serve_in_background

PAGE = """\
access.requests.fairlead.client.shop.fairlead.status.200: 5
access.requests.fairlead.client.shop.fairlead.status.422: 2
access.requests.fairlead.client.shop.fairlead.status.429: 100
access.requests.fairlead.client.shop.fairlead.status.503: 40
access.requests.fairlead.client.web-2.fairlead.status.200: 1
access.requests.fairlead.client.unknown.fairlead.status.401: 9
access.requests.fairlead.client.calls.fairlead.status.200.fairlead.grpc.: 30
access.requests.fairlead.client.calls.fairlead.status.422.fairlead.grpc.: 3
access.requests.fairlead.client.calls.fairlead.status.200.fairlead.grpc.3: 4
access.requests.fairlead.client.calls.fairlead.status.200.fairlead.grpc.14: 50
access.requests.fairlead.client.calls.fairlead.status.200.fairlead.grpc.8: 60
access.requests.fairlead.client.calls.fairlead.status.503.fairlead.grpc.: 70
server.uptime: 77
"""


class Page(BaseHTTPRequestHandler):
    """An admin page."""

    text = PAGE

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(self.text)))
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    with serve_in_background(server):
        yield server.server_port


def test_answers_count_and_refusals_and_failures_do_not(port: int) -> None:
    sites = [GatewaySite("a", "127.0.0.1", port), GatewaySite("gone", "127.0.0.1", 1)]
    counts = ClientCounts(lambda: sites)
    try:
        counted = {"shop": 7, "web-2": 1, "calls": 37}
        assert counts.read() == {"a": Reading(uptime_s=77, clients=counted), "gone": None}
    finally:
        counts.close()


def test_a_gateway_whose_clock_was_set_back_by_more_than_it_runs_says_so(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Page, "text", f"server.uptime: {2**64 - 20}\n")
    counts = ClientCounts(lambda: [GatewaySite("a", "127.0.0.1", port)])
    try:
        assert counts.read() == {"a": Reading(uptime_s=-20)}
    finally:
        counts.close()
