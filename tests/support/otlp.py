"""A collector of traces on loopback: takes OTLP over HTTP in both forms, and keeps the spans."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2


@dataclass(frozen=True)
class Span:
    """One span as it arrived. Ids are hexadecimal."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    seconds: float
    is_error: bool
    attributes: Mapping[str, str]
    links: tuple[str, ...] = ()


@dataclass
class Collector:
    """What a collector has received."""

    url: str
    port: int
    spans: list[Span] = field(default_factory=list)
    types: set[str] = field(default_factory=set)
    """The content types of the requests."""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    status: int = 200

    def of(self, trace_id: str) -> list[Span]:
        return [one for one in self.spans if one.trace_id == trace_id]


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector, until the end of the context."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    found = Collector(f"http://127.0.0.1:{server.server_port}", server.server_port)
    server.collector = found  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:  # noqa: N802
        collector: Collector = self.server.collector  # type: ignore[attr-defined]
        body, kind = self._body(), self.headers["content-type"]
        collector.types.add(kind)
        collector.headers.append(dict(self.headers.items()))
        if self.path == "/v1/traces" and collector.status == 200:
            collector.spans += _spans(json.loads(body) if kind == "application/json" else _from_protobuf(body))
        self.send_response(collector.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers["content-length"]))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


def _from_protobuf(body: bytes) -> Any:
    """As JSON. These classes are of an earlier release, in which the scope has another name and the same number."""
    message: Any = trace_service_pb2.ExportTraceServiceRequest()  # type: ignore[attr-defined]
    message.ParseFromString(body)
    document = MessageToDict(message, use_integers_for_enums=True)
    for resource in document["resourceSpans"]:
        resource["scopeSpans"] = resource.pop("instrumentationLibrarySpans")
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    span[name] = _hex(span.get(name, ""))
    return document


def _hex(text: str) -> str:
    return base64.b64decode(text).hex()


def _spans(document: Any) -> Iterator[Span]:
    for resource in document["resourceSpans"]:
        known = _attributes(resource["resource"])
        for scope in resource["scopeSpans"]:
            for one in scope["spans"]:
                yield Span(
                    known["service.name"],
                    one["name"],
                    one["traceId"],
                    one["spanId"],
                    one.get("parentSpanId", ""),
                    one["kind"],
                    (int(one["endTimeUnixNano"]) - int(one["startTimeUnixNano"])) / 1e9,
                    one.get("status", {}).get("code") == 2,
                    _attributes(one),
                    tuple(link["spanId"] for link in one.get("links", ())),
                )


def _attributes(of: Any) -> dict[str, str]:
    return {one["key"]: str(next(iter(one["value"].values()), "")) for one in of.get("attributes", ())}
