"""Answers within a time and a size, over TLS, as the control plane reads instances in a cluster."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import ssl
import time
from collections.abc import Iterator

import pytest

from fairlead.control import bounded
from support.background import serve_in_background
from support.cluster.certificates import Authority

BODY = b"0123456789" * 10_000


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers /whole at once, and everything else for as long as somebody reads it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(BODY)))
        self.end_headers()
        with contextlib.suppress(OSError):
            if self.path == "/whole":
                self.wfile.write(BODY)
                return
            for _ in BODY:
                self.wfile.write(b"#")
                time.sleep(0.01)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, ssl.SSLContext]]:
    authority = Authority(tmp_path_factory.mktemp("authority")).create()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("models", hosts=["localhost"], usages="serverAuth"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serve_in_background(server):
        yield server.server_address[1], ssl.create_default_context(cafile=authority.certificate)


@pytest.fixture
def connection(trusted: tuple[int, ssl.SSLContext]) -> Iterator[http.client.HTTPSConnection]:
    port, context = trusted
    with contextlib.closing(http.client.HTTPSConnection("localhost", port, timeout=5, context=context)) as found:
        yield found


def test_a_connection_serves_one_answer_after_the_other(connection: http.client.HTTPSConnection) -> None:
    first = bounded.get(connection, "/whole", within_s=5, most=len(BODY))
    sock = connection.sock
    assert [first, bounded.get(connection, "/whole", within_s=5, most=len(BODY))] == [(200, BODY)] * 2
    assert connection.sock is sock
    assert sock.gettimeout() == 5


def test_of_a_larger_answer_one_byte_more_is_read(connection: http.client.HTTPSConnection) -> None:
    assert bounded.get(connection, "/whole", within_s=5, most=99) == (200, BODY[:100])


def test_an_answer_that_comes_byte_by_byte_is_given_up(connection: http.client.HTTPSConnection) -> None:
    with pytest.raises(TimeoutError, match=r"it takes longer than 0\.2 s"):
        bounded.get(connection, "/slowly", within_s=0.2, most=len(BODY))


def test_the_time_is_that_of_the_whole_answer_by_the_clock(connection: http.client.HTTPSConnection) -> None:
    times = iter([0.0, *[float(second) for second in range(1, 1000)]])
    with pytest.raises(TimeoutError, match="it takes longer than 50 s"):
        bounded.get(connection, "/slowly", within_s=50, most=len(BODY), monotonic=lambda: next(times))


def test_without_time_left_it_does_not_connect(connection: http.client.HTTPSConnection) -> None:
    with pytest.raises(TimeoutError, match="no time is left"):
        bounded.get(connection, "/whole", within_s=-0.1, most=len(BODY))
    assert connection.sock is None
