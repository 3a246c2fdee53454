"""The API client against faulty servers; tests/integration/kubernetes tests it against a real API server."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from kubernetes.client import Configuration

from fairlead import errors
from fairlead.store.kubernetes.access import Access
from fairlead.store.kubernetes.api import MERGE, Api, Gone, Limit
from fairlead.store.kubernetes.kinds import REVISIONS, ROUTES
from support.background import serve_in_background
from support.cluster.certificates import Authority
from support.processes import free_ports

Asked = BaseHTTPRequestHandler
Answer = Callable[[Asked], None]


class Server:
    """Answers with the given function, and records requests."""

    def __init__(self, answer: Answer) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: apart, each response waits 40 ms for a delayed ACK
            timeout = 5

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def handle_any(self) -> None:
                url = urlsplit(self.path)
                server.asked.append((self.command, url.path, dict(parse_qsl(url.query))))
                server.headers.append(dict(self.headers.items()))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]


@contextmanager
def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(answer)
    if tls is not None:
        server.http.socket = tls.wrap_socket(server.http.socket, server_side=True)
    with serve_in_background(server.http):
        yield server


@contextmanager
def asking(port: int, **configuration: Any) -> Iterator[Api]:
    host = configuration.pop("host", f"http://127.0.0.1:{port}")
    api = Api(Access(Configuration(host=host, **configuration), context="context 'test'"), timeout_s=0.3)
    yield api
    api.close()


def reply(asked: Asked, document: object, status: int = 200, *, close: bool = False) -> None:
    text = json.dumps(document).encode()
    asked.send_response(status)
    asked.send_header("Content-Type", "application/json")
    asked.send_header("Content-Length", str(len(text)))
    asked.end_headers()
    asked.wfile.write(text)
    asked.close_connection = asked.close_connection or close


def hang_up(asked: Asked) -> None:
    """Close the connection without a response, like a proxy that has dropped it."""
    asked.connection.shutdown(socket.SHUT_RDWR)
    asked.close_connection = True


def test_a_connection_that_was_closed_while_idle_causes_no_error() -> None:
    with serving(lambda asked: reply(asked, {"n": 1}, close=True)) as server, asking(server.port) as api:
        assert [api.request("GET", "/readyz") for _ in range(3)] == [{"n": 1}] * 3
    assert len(server.asked) == 3


def test_a_request_whose_connection_is_closed_is_retried_once() -> None:
    def second_time(asked: Asked) -> None:
        hang_up(asked) if len(server.asked) == 2 else reply(asked, {"n": len(server.asked)})

    with serving(second_time) as server, asking(server.port) as api:
        assert [api.request("GET", "/readyz") for _ in range(2)] == [{"n": 1}, {"n": 3}]


def test_a_server_that_always_closes_the_connection_is_tried_twice_and_named(caplog: pytest.LogCaptureFixture) -> None:
    with serving(hang_up) as server, asking(server.port) as api:
        with pytest.raises(errors.Unavailable, match=rf"127.0.0.1:{server.port} cannot be reached: .*closed") as caught:
            api.request("GET", "/readyz")
        assert caught.value.hint == "this is the API server of context 'test'"
    assert len(server.asked) == 2
    assert caplog.records == []


def test_a_server_that_does_not_answer_times_out_without_a_retry() -> None:
    enough = threading.Event()
    with serving(lambda asked: hang_up(asked) if enough.wait(20) else None) as server, asking(server.port) as api:
        began = time.monotonic()
        with pytest.raises(errors.Unavailable, match="did not answer in time"):
            api.request("GET", "/readyz")
        took = time.monotonic() - began
        enough.set()
        assert 0.25 < took < 5
        assert len(server.asked) == 1


def test_a_closed_port_is_named_with_the_reason() -> None:
    [port] = free_ports(1)
    with asking(port) as api, pytest.raises(errors.Unavailable, match=rf"(?m):{port} cannot be reached: .*refused$"):
        api.request("GET", "/readyz")


def test_a_list_is_read_page_by_page_and_of_revisions_only_the_metadata() -> None:
    def pages(asked: Asked) -> None:
        first = "continue" not in asked.path
        one = {"metadata": {"name": f"iris-{1 if first else 2}"}}
        reply(asked, {"metadata": {"resourceVersion": "7", **({"continue": "a+b"} if first else {})}, "items": [one]})

    with serving(pages) as server, asking(server.port) as api:
        found, version = api.list(REVISIONS, "models")
    assert ([one["metadata"]["name"] for one in found], version) == (["iris-1", "iris-2"], "7")
    assert [query.get("continue") for _, _, query in server.asked] == [None, "a+b"]
    accepted = {headers["Accept"] for headers in server.headers}
    assert accepted == {"application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}


def test_a_patch_of_the_status_is_a_merge_patch_of_its_subresource() -> None:
    with serving(lambda asked: reply(asked, {})) as server, asking(server.port) as api:
        api.patch(ROUTES, "models", "iris", {"status": {"phase": None}}, part="status")
    [(method, path, _)] = server.asked
    assert (method, path) == ("PATCH", "/apis/fairlead.dev/v1alpha1/namespaces/models/modelroutes/iris/status")
    assert (server.headers[0]["Content-Type"], server.headers[0]["User-Agent"]) == (MERGE, "fairlead")


def test_a_name_cannot_lead_to_another_path() -> None:
    with serving(lambda asked: reply(asked, {})) as server, asking(server.port) as api:
        api.get(ROUTES, "models", "../../pods?x=1")
    assert server.asked[0][1].endswith("/modelroutes/..%2F..%2Fpods%3Fx%3D1")


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (401, "Unauthorized", errors.Refused),
        (403, "Forbidden", errors.Refused),
        (404, "NotFound", errors.NotFound),
        (409, "Conflict", errors.Conflict),
        (410, "Expired", Gone),
        (422, "Invalid", errors.Invalid),
        (503, "ServiceUnavailable", errors.Unavailable),
        (302, "", errors.Unavailable),
    ],
)
def test_an_error_status_becomes_one_of_our_errors(status: int, reason: str, kind: type[errors.FairleadError]) -> None:
    said = {"reason": reason, "message": "because"}
    with serving(lambda asked: reply(asked, said, status)) as server, asking(server.port) as api, pytest.raises(kind):
        api.get(ROUTES, "models", "iris")
    assert len(server.asked) == 1


def test_the_newline_after_a_token_is_removed() -> None:
    key = {"BearerToken": "Bearer secret\n"}
    with serving(lambda asked: reply(asked, {})) as server, asking(server.port, api_key=key) as api:
        api.request("GET", "/readyz")
    assert server.headers[0]["authorization"] == "Bearer secret"


def test_a_certificate_is_verified_with_the_server_name_of_the_kubeconfig(tmp_path: Path) -> None:
    authority = Authority(tmp_path).create()
    certificate, key = authority.issue("server", hosts=["api.example"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with serving(lambda asked: reply(asked, {"n": 1}), tls) as server:
        where = {"host": f"https://127.0.0.1:{server.port}", "ssl_ca_cert": str(tmp_path / "ca.crt")}
        with asking(server.port, tls_server_name="api.example", **where) as api:
            assert api.request("GET", "/readyz") == {"n": 1}
        with asking(server.port, **where) as api, pytest.raises(errors.Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            api.request("GET", "/readyz")


def begin_body(asked: Asked, size: int) -> None:
    asked.send_response(200)
    asked.send_header("Content-Length", str(size))
    asked.end_headers()
    asked.wfile.flush()


def test_a_response_of_somebody_else_is_read_up_to_its_limit_and_the_connection_serves_again() -> None:
    with serving(lambda asked: reply(asked, "12345678")) as server, asking(server.port) as api:
        assert [api.read("/pod", {}, limit=Limit(10, 5)) for _ in range(2)] == [b'"12345678"'] * 2
        assert server.connections == 1
        with pytest.raises(errors.Unavailable, match="it has more than 9 bytes"):
            api.read("/pod", {}, limit=Limit(9, 5))


def test_a_response_that_comes_byte_by_byte_is_given_up() -> None:
    def drip(asked: Asked) -> None:
        begin_body(asked, 1000)
        with suppress(OSError):
            for _ in range(1000):
                asked.connection.sendall(b"#")
                time.sleep(0.01)

    with (
        serving(drip) as server,
        asking(server.port) as api,
        pytest.raises(errors.Unavailable, match=r"it takes longer than 0\.1 s"),
    ):
        api.read("/pod", {}, limit=Limit(1000, 0.1))


def test_a_response_with_a_limit_that_ends_early_is_no_response() -> None:
    def cut(asked: Asked) -> None:
        begin_body(asked, 10)
        asked.wfile.write(b"1234")
        asked.close_connection = True

    with serving(cut) as server, asking(server.port) as api, pytest.raises(errors.Unavailable, match="reached"):
        api.read("/pod", {}, limit=Limit(1000, 5))


def event(asked: Asked, kind: str, document: object) -> None:
    line = json.dumps({"type": kind, "object": document}).encode() + b"\n"
    asked.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
    asked.wfile.flush()


def begin(asked: Asked) -> None:
    asked.send_response(200)
    asked.send_header("Content-Type", "application/json")
    asked.send_header("Transfer-Encoding", "chunked")
    asked.end_headers()


def test_a_watch_returns_changes_and_ends_when_the_server_ends_it() -> None:
    def watched(asked: Asked) -> None:
        begin(asked)
        event(asked, "ADDED", {"metadata": {"name": "iris"}})
        event(asked, "BOOKMARK", {"metadata": {"resourceVersion": "9"}})
        asked.wfile.write(b"0\r\n\r\n")

    with serving(watched) as server, asking(server.port) as api:
        seen = list(api.watch(REVISIONS, "models", "7", timeout_s=30))
    assert seen == [("ADDED", {"metadata": {"name": "iris"}}), ("BOOKMARK", {"metadata": {"resourceVersion": "9"}})]
    [(_, _, query)] = server.asked
    assert query == {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": "7", "timeoutSeconds": "30"}
    assert server.headers[0]["Accept"] == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


@pytest.mark.parametrize("early", [True, False], ids=["as an answer", "as an event"])
def test_a_watch_from_an_expired_resource_version_raises_gone(early: bool) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}

    def watched(asked: Asked) -> None:
        if early:
            reply(asked, gone, 410)
            return
        begin(asked)
        event(asked, "ERROR", gone)
        asked.wfile.write(b"0\r\n\r\n")

    with serving(watched) as server, asking(server.port) as api, pytest.raises(Gone, match="too old"):
        list(api.watch(ROUTES, "models", "7", timeout_s=30))
    assert len(server.asked) == 1


def test_a_watch_whose_connection_breaks_is_unavailable() -> None:
    def watched(asked: Asked) -> None:
        begin(asked)
        event(asked, "ADDED", {})
        asked.wfile.write(b"ff\r\n{")
        hang_up(asked)

    with serving(watched) as server, asking(server.port) as api, pytest.raises(errors.Unavailable, match="be reached"):
        list(api.watch(ROUTES, "models", "7", timeout_s=30))


def test_a_watch_is_ended_by_another_thread() -> None:
    release = threading.Event()

    def watched(asked: Asked) -> None:
        begin(asked)
        event(asked, "ADDED", {})
        release.wait(20)

    with serving(watched) as server, asking(server.port) as api:
        watch = api.watch(ROUTES, "models", "7", timeout_s=30)
        began = time.monotonic()
        threading.Timer(0.1, watch.close).start()
        with pytest.raises(errors.Unavailable):
            list(watch)
        release.set()
        assert time.monotonic() - began < 5
