"""What stands before the admin page: passes everything on, or the counters not, or nothing."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fairlead.rehearsal.live.admin_proxy import AdminProxy
from support.processes import free_port

COUNTERS = "/stats?usedonly&histogram_buckets=cumulative&filter=x"


class Admin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"asked {self.path}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def relay() -> Iterator[AdminProxy]:
    admin = ThreadingHTTPServer(("127.0.0.1", 0), Admin)
    admin.daemon_threads = True
    serving = threading.Thread(target=admin.serve_forever, args=(0.01,))
    serving.start()
    relay = AdminProxy(free_port(), admin.server_address[1])
    relay.start()
    yield relay
    relay.stop()
    admin.shutdown()
    serving.join()
    admin.server_close()


def ask(relay: AdminProxy, path: str, method: str = "GET") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", relay.server_address[1], timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_everything_is_passed_on(relay: AdminProxy, method: str) -> None:
    assert ask(relay, COUNTERS, method) == (200, f"asked {COUNTERS}")


def test_deaf_the_counters_are_refused_and_nothing_else(relay: AdminProxy) -> None:
    relay.deaf = True
    assert ask(relay, COUNTERS)[0] == 503
    assert ask(relay, "/stats?type=TextReadouts") == (200, "asked /stats?type=TextReadouts")
    relay.deaf = False
    assert ask(relay, COUNTERS)[0] == 200


def test_silent_nothing_is_answered(relay: AdminProxy) -> None:
    relay.silent = True
    with pytest.raises(http.client.RemoteDisconnected):
        ask(relay, "/ready")


def test_where_nobody_is_behind_it_the_connection_ends(relay: AdminProxy) -> None:
    relay.to = free_port()
    with pytest.raises(http.client.RemoteDisconnected):
        ask(relay, "/ready")
