"""The gateway's own responses: problem documents, in the content type of the protocol that the client uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairlead.routing.envoy.access import decided
from fairlead.routing.envoy.grpc import CALL_KIND, grpc_reply, grpc_text
from fairlead.routing.envoy.holding import replies
from fairlead.routing.envoy.proto import READY, Json, extension, put, typed

SHORT_OF_MEMORY = "the gateway is short of memory; send the request again"
_TITLES = {
    400: "Bad Request",
    404: "Not Found",
    408: "Request Timeout",
    413: "Payload Too Large",
    421: "Misdirected Request",
    429: "Too Many Requests",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_SENTENCES = (
    # Envoy ends connections of HTTP/1 for lack of memory with 500, and refuses requests with 503.
    ("overload", 503, SHORT_OF_MEMORY),
    ("request_overall_timeout", 408, "the request did not arrive in time; send it again, or over a faster connection"),
    ("health_check_failed", 503, "the gateway is draining; another one answers"),
    ("missing_host_header", 400, "the request has no Host header"),
    ("path_normalization_failed", 400, "the path has an escaped slash or backslash (%2F, %5C); send it unescaped"),
    ("http1.unexpected_underscore", 400, "the name of a header has an underscore; write it with a hyphen"),
    ("http2.unexpected_underscore", 400, "the name of a header has an underscore; write it with a hyphen"),
    ("http1.codec_error", 400, "this is not HTTP"),
)
"""By Envoy's response code detail: the status and what to say where Envoy says nothing, or only repeats the status."""
_REFUSALS = {401: "Unauthorized", 403: "Forbidden"}
"""What only a gateway with clients answers itself, and a port that does not have the TLS that it needs."""
_OVER_LIMIT = f"client {decided('client')} sends more requests than its limit allows; wait before the next one"
# With or without a query: Envoy compares the whole path.
AT_READY: Json = {"name": ":path", "string_match": {"safe_regex": {"regex": f"{READY}(\\?.*)?"}}}
"""Matches requests for the gateway's readiness."""
_KSERVE_PATHS: Json = {"name": ":path", "string_match": {"safe_regex": {"regex": "/v[12]([/?].*)?"}}}


def mappers(
    origins: Sequence[str], *, guarded: bool = False, gated: bool = False, holds: bool = False, grpc: bool = False
) -> Iterator[Json]:
    """One mapper per cause, for each kind of path and each origin; the first that matches is used.

    Below /v1 and /v2 their content type is the one of these protocols: KServe's client reads no other. Envoy's CORS
    filter skips direct responses of routes (an unknown version), so a browser would hide them from the page. The
    mappers add `access-control-allow-origin` to these. `guarded`: whether requests need a client. `gated`: whether
    requests need TLS, which this port does not have. `grpc`: whether calls of gRPC are answered; a response to one is a
    code and a sentence, never a document.
    """
    refusals, causes = list(_refusals(guarded=guarded) if guarded or gated else ()), list(_causes(holds=holds))
    yield _ready()
    yield grpc_text()
    if grpc:
        of_calls = (_has_detail("lua_response"), "", {"code": CALL_KIND})
        yield from (grpc_reply(cause, more) for cause, _, more in (*refusals, of_calls, *causes))
    for origin in (*origins, None):
        for path, content_type in ((_KSERVE_PATHS, "application/json"), (None, "application/problem+json")):
            for cause, title, more in (*refusals, *causes):
                yield _problem(cause, title, more, content_type=content_type, path=path, origin=origin)
        if origin == "*":
            return


def status(op: str, value: int) -> Json:
    """A filter that compares the status of the response: EQ, GE or LE."""
    compare = {"op": op, "value": {"default_value": value, "runtime_key": "fairlead.none"}}
    return {"status_code_filter": {"comparison": compare}}


def _causes(*, holds: bool) -> Iterator[tuple[Json, str, Json]]:
    """What to look for, the title of the response, and what else is different in it."""
    for code, sentence, value, extra in replies() if holds else ():
        body = {"body": {"inline_string": sentence}} if sentence else {}
        yield _has_detail(code), _TITLES[value], {"status_code": value, "code": "cold", **body, **extra}
    for code, value, sentence in _SENTENCES:
        headers = {"headers_to_add": [put("retry-after", "1")]} if sentence == SHORT_OF_MEMORY else {}
        more = {"status_code": value, "body": {"inline_string": sentence}, **headers}
        yield _has_detail(code), _TITLES[value], more
    for value, title in _TITLES.items():
        yield status("EQ", value), title, {}
    yield status("GE", 400), "Error", {}


def _refusals(*, guarded: bool) -> Iterator[tuple[Json, str, Json]]:
    for value, title in _REFUSALS.items():
        by_us = {"and_filter": {"filters": [status("EQ", value), _has_detail("lua_response")]}}
        yield by_us, title, {"fields": {"code": decided("code")}}
    if not guarded:
        return
    sentence = {"detail": _OVER_LIMIT, "error": _OVER_LIMIT, "code": "over-limit"}
    wait = {"headers_to_add": [put("retry-after", decided("retry"))]}
    by_us = {"and_filter": {"filters": [status("EQ", 429), _has_detail("lua_response")]}}
    yield by_us, _TITLES[429], {"fields": {"code": decided("code")}, **wait}
    yield _has_detail("local_rate_limited"), _TITLES[429], {"fields": sentence, **wait}


def _has_detail(code: str) -> Json:
    expression = f"response.code_details == '{code}'"
    cel = typed("extensions.access_loggers.filters.cel.v3.ExpressionFilter", expression=expression)
    return {"extension_filter": extension("envoy.access_loggers.extension_filters.cel", cel)}


def _ready() -> Json:
    """The health check filter answers without a body, in which clients of the Open Inference Protocol read `ready`."""
    at = {"header_filter": {"header": AT_READY}}
    return {
        "filter": {"and_filter": {"filters": [status("EQ", 200), at]}},
        "body_format_override": {"content_type": "application/json", "json_format": {"ready": True}},
    }


def _problem(cause: Json, title: str, more: Json, *, content_type: str, path: Json | None, origin: str | None) -> Json:
    body = {
        "type": "about:blank",
        "title": title,
        "status": "%RESPONSE_CODE%",
        "detail": "%LOCAL_REPLY_BODY%",
        "error": "%LOCAL_REPLY_BODY%",
        "code": more.get("code", "%RESPONSE_CODE_DETAILS%"),
        "request_id": "%REQ(x-request-id)%",
        **more.get("fields", {}),
    }
    more = {name: value for name, value in more.items() if name not in ("code", "fields")}
    headers = [path] if path else []
    reply: Json = {"body_format_override": {"content_type": content_type, "json_format": body}, **more}
    if origin is not None:
        match = {"present_match": True} if origin == "*" else {"string_match": {"exact": origin}}
        headers.append({"name": "origin", **match})
        allowed = put("access-control-allow-origin", origin)
        reply["headers_to_add"] = [*more.get("headers_to_add", ()), allowed]
    filters = [cause, *({"header_filter": {"header": header}} for header in headers)]
    return {"filter": {"and_filter": {"filters": filters}} if headers else cause, **reply}
