"""The proxy of the admin page: it forwards everything, or all but the counters, or nothing."""

from __future__ import annotations

import http.client
import socketserver
import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from fairlead.contracts import sockets
from fairlead.local.probe import SocketConnection
from fairlead.rehearsal.live.admin_proxy import AdminProxy
from support.background import serve_in_background

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


class Page(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[AdminProxy]:
    with serve_in_background(Page(sockets.address(tmp_path / "page.sock"), Admin)):
        proxy = AdminProxy(tmp_path / "gateway.sock", tmp_path / "page.sock")
        proxy.start()
        yield proxy
        proxy.stop()


def ask(proxy: AdminProxy, path: str, method: str = "GET") -> tuple[int, str]:
    connection = SocketConnection(proxy.path, timeout_s=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_everything_is_forwarded(proxy: AdminProxy, method: str) -> None:
    assert ask(proxy, COUNTERS, method) == (200, f"asked {COUNTERS}")


def test_refuse_counters_fails_requests_for_counters_only(proxy: AdminProxy) -> None:
    proxy.refuse_counters = True
    assert ask(proxy, COUNTERS)[0] == 503
    assert ask(proxy, "/stats?type=TextReadouts") == (200, "asked /stats?type=TextReadouts")
    proxy.refuse_counters = False
    assert ask(proxy, COUNTERS)[0] == 200


def test_drop_requests_closes_the_connection_without_a_response(proxy: AdminProxy) -> None:
    proxy.drop_requests = True
    with pytest.raises(http.client.RemoteDisconnected):
        ask(proxy, "/ready")


def test_without_a_server_behind_it_the_connection_is_closed(proxy: AdminProxy) -> None:
    proxy.target = proxy.path.with_name("nothing.sock")
    with pytest.raises(http.client.RemoteDisconnected):
        ask(proxy, "/ready")


def test_only_its_owner_can_connect(proxy: AdminProxy) -> None:
    assert stat.S_IMODE(proxy.path.stat().st_mode) == 0o600
