"""Sends spans to an OpenTelemetry collector: OTLP over HTTP, in its JSON form, from a thread with a bounded queue.

A collector that is slow, full or dead costs dropped spans, which are counted, and nothing else. Written here and not
with the SDK of OpenTelemetry, because making five spans with it takes more time than a whole small prediction.
"""

from __future__ import annotations

import http.client
import logging
import os
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import orjson

from fairlead import errors
from fairlead.serving.observe.traces import Call, RequestTrace

logger = logging.getLogger(__name__)

Outcome = Literal["sent", "dropped"]
MOST_WAITING = 2048
"""Requests whose spans wait to be sent; those of further ones are dropped."""
AT_ONCE = 256
"""Requests whose spans are sent together."""
PERIOD_S = 1.0
TIMEOUT_S = 3.0
CLOSE_S = 2.0
"""How long the last spans may take when the service ends."""
_ENDPOINT, _TRACES = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_SERVER, _INTERNAL, _ERROR = 2, 1, 2


@dataclass(frozen=True, slots=True)
class Target:
    """Where spans go."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with each request: the key of a service that takes spans, for example."""
    resource: Mapping[str, str] = field(default_factory=dict)
    """Attributes of every span; `service.name` is the model's name unless it is one of them."""


def target_of(environ: Mapping[str, str]) -> Target | None:
    """What the standard variables say; None: no spans. Raises Invalid for what cannot be used."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return None
    base, url = environ.get(_ENDPOINT, ""), environ.get(_TRACES, "")
    if not base and not url:
        return None
    name, url = (_TRACES, url) if url else (_ENDPOINT, f"{base.rstrip('/')}/v1/traces")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise errors.Invalid(
            f"{name} is {environ[name]!r}, which is no address of a collector",
            hint="write http://HOST:4318 or https://HOST:4318; without the variable no spans are sent",
        )
    protocol = _of(environ, "PROTOCOL") or "http/json"
    if not protocol.startswith("http/"):
        raise errors.Invalid(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; a model service sends spans over HTTP only",
            hint="set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json, and the endpoint of the collector's port 4318",
        )
    resource = dict(_pairs(environ.get("OTEL_RESOURCE_ATTRIBUTES", ""), "OTEL_RESOURCE_ATTRIBUTES"))
    if service := environ.get("OTEL_SERVICE_NAME"):
        resource["service.name"] = service
    return Target(url, dict(_pairs(_of(environ, "HEADERS"), "OTEL_EXPORTER_OTLP_HEADERS")), resource)


def _of(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environ.get(f"OTEL_EXPORTER_OTLP_{name}") or ""


def _pairs(text: str, variable: str) -> Iterator[tuple[str, str]]:
    for one in filter(None, map(str.strip, text.split(","))):
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            # Not the text itself: it may be a key.
            raise errors.Invalid(f"{variable} is not a list of NAME=VALUE with commas between them")
        yield unquote(name.strip()), unquote(value.strip())


class Exporter:
    """The thread that sends. `count` gets an outcome and a number of requests, on this thread or on that of `add`."""

    def __init__(self, target: Target, model: str, version: str, count: Callable[[Outcome, int], None]) -> None:
        self._target = target
        instance = f"{socket.gethostname()}:{os.getpid()}"
        resource = {"service.name": model, "service.version": version, "service.instance.id": instance}
        self._resource = _attributes({**resource, **target.resource})
        self._spans = Spans(model, version)
        self._count = count
        self._waiting: deque[RequestTrace] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._collector = _Collector(target)
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, trace: RequestTrace) -> None:
        """Send the spans of a request that is answered. Never waits: when too many wait, they are dropped."""
        if len(self._waiting) >= MOST_WAITING:
            self._count("dropped", 1)
            return
        self._waiting.append(trace)
        if len(self._waiting) == AT_ONCE:
            self._wake.set()

    def close(self) -> None:
        """Send what waits, for a short time, and end."""
        self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(PERIOD_S)
            self._wake.clear()
            while self._waiting:
                self._send([self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))])
        self._collector.close()

    def _send(self, traces: list[RequestTrace]) -> None:
        offset = time.time_ns() - time.monotonic_ns()
        spans = [span for trace in traces for span in self._spans.of(trace, offset)]
        scope = {"scope": {"name": "fairlead"}, "spans": spans}
        document = {"resourceSpans": [{"resource": {"attributes": self._resource}, "scopeSpans": [scope]}]}
        problem = self._collector.send(orjson.dumps(document))
        self._count("dropped" if problem else "sent", len(traces))


class _Collector:
    """One connection to the collector. Tells once that it fails, and once that it works again."""

    def __init__(self, target: Target) -> None:
        self._target = target
        parts = urlsplit(target.url)
        self._path = parts.path or "/"
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._connection = (
            http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=ssl.create_default_context())
            if parts.scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        )
        self._fails = False

    def send(self, body: bytes) -> str:
        """Why the collector did not take it; empty if it did."""
        problem = ""
        for is_last in (False, True):  # it may have closed a connection that was kept
            is_kept = self._connection.sock is not None
            problem = self._try(body)
            if not problem or is_last or not is_kept:
                break
        if bool(problem) != self._fails:
            self._fails = bool(problem)
            if problem:
                logger.warning("spans are dropped", extra={"reason": problem, "collector": _shown(self._target.url)})
            else:
                logger.info("spans are sent again")
        return problem

    def _try(self, body: bytes) -> str:
        try:
            headers = {"content-type": "application/json", **self._target.headers}
            self._connection.request("POST", self._path, body, headers)
            answer = self._connection.getresponse()
            answer.read(1 << 16)
            if answer.status >= 300 or not answer.isclosed():
                self._connection.close()
            return f"the collector answers with {answer.status}" if answer.status >= 300 else ""
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            return f"the collector cannot be reached: {error}"

    def close(self) -> None:
        self._connection.close()


class Spans:
    """Makes the spans of a request, as OTLP writes them in JSON."""

    def __init__(self, model: str, version: str) -> None:
        self._identity = _attributes({"fairlead.model": model, "fairlead.version": version})

    def of(self, trace: RequestTrace, offset: int) -> Iterator[dict[str, Any]]:
        """The request's span, and below it what is known of its stages.

        `offset` is added to times of its clock, in nanoseconds, to get those of the day.
        """

        def span(name: str, began: float, ended: float, **more: Any) -> dict[str, Any]:
            return {
                "traceId": trace.span.trace_id,
                "spanId": os.urandom(8).hex(),
                "parentSpanId": trace.span.span_id,
                "name": name,
                "kind": _INTERNAL,
                "startTimeUnixNano": str(round(began * 1e9) + offset),
                "endTimeUnixNano": str(round(max(began, ended) * 1e9) + offset),
                **more,
            }

        known: dict[str, str | int] = {
            "http.request.method": trace.method,
            "url.path": trace.path,
            "http.response.status_code": trace.status,
            "fairlead.protocol": trace.protocol,
            "fairlead.request_id": trace.request_id,
            "fairlead.rows": trace.rows,
        }
        request = span(f"{trace.method} {trace.path}", trace.began, trace.ended, kind=_SERVER)
        request |= {"spanId": trace.span.span_id, "parentSpanId": trace.parent.span_id}
        request["attributes"] = [*self._identity, *_attributes(known)]
        if trace.status >= 500:
            request["status"] = {"code": _ERROR, "message": trace.reason}
        yield request
        if trace.admitted is None:
            return
        yield span("decode", trace.began, trace.admitted)
        if not trace.calls:
            return
        yield span("queue", trace.admitted, trace.calls[0].began)
        for call in trace.calls:
            yield span("compute", call.began, call.ended, **_of_call(call))
        yield span("encode", trace.calls[-1].returned, trace.ended)


def _of_call(call: Call) -> dict[str, Any]:
    known = {"fairlead.batch.rows": call.rows, "fairlead.batch.requests": call.requests}
    links = [{"traceId": other.trace_id, "spanId": other.span_id} for other in call.others]
    return {"attributes": _attributes(known), **({"links": links} if links else {})}


def _attributes(values: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]


def _shown(url: str) -> str:
    """The address without a user, a password and a query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}{parts.path}"
