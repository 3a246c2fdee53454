"""gRPC: the filters that make a request of HTTP/1.1 of a call, and gRPC of its response.

They are the first in the listener, and off: only the routes for calls turn them on. From there on a call is a request
for the path of its model, with all rules of the model (`contracts.grpc`), and no other filter knows of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

from fairlead.contracts.grpc import CODES, CONTENT_TYPE, KIND, METHODS, MODEL_KEYS, SERVICE, UNKNOWN
from fairlead.routing.envoy.holding import CALL_FILTER, LUA
from fairlead.routing.envoy.proto import READY, Json, extension, put, typed

STATUS = "x-fairlead-status"
"""Between the gateway's own response and the filter that makes gRPC of it: the HTTP status. No client sees it."""
CALL_KIND = "%DYNAMIC_METADATA(fairlead.grpc:kind)%"
"""The kind of a refusal by the programs for calls."""
NOT_GRPC = "this path answers gRPC only; over HTTP, send JSON to /v2/models/{model}/infer"
OWN = {"ServerLive": "/v2/health/live", "ServerReady": READY}
"""What the gateway answers of itself, where no model is named: the path of the same question over HTTP."""
_FAILURES = ["UNKNOWN", "DEADLINE_EXCEEDED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"]
_IS_CALL: Json = {"header_filter": {"header": {"name": "content-type", "string_match": {"exact": CONTENT_TYPE}}}}
_IS_GRPC: Json = {"safe_regex": {"regex": r"application/grpc([+;].*)?"}}
_TYPES = "extensions.filters.http."
_FRAMES, _CALLS, _WHOLE = "fairlead.grpc_frames", "fairlead.grpc", "fairlead.grpc_whole"
"""The filters: content type and trailers; path and status; the whole message, for a call that does not name its
model in its metadata."""


def grpc_filters(max_request_bytes: int, *, guarded: bool) -> Iterator[Json]:
    """In the order in which a call passes them.

    `guarded`: requests need a client. Then no message is kept before the client is known.
    """
    frames = typed(f"{_TYPES}grpc_http1_reverse_bridge.v3.FilterConfig", content_type=CONTENT_TYPE)
    yield _off(extension(_FRAMES, frames))
    if not guarded:
        yield _off(extension(_WHOLE, typed(f"{_TYPES}buffer.v3.Buffer", max_request_bytes=max_request_bytes)))
    program = {"inline_string": _program(reads=not guarded)}
    yield _off(extension(_CALLS, typed(LUA, default_source_code=program)))


def grpc_routes(*, guarded: bool) -> Iterator[Json]:
    """The routes that turn the filters on, and the one in which calls wait. What is no gRPC is refused there."""
    calls = {"prefix": f"/{SERVICE}/"}
    named = {**calls, "headers": [{"name": MODEL_KEYS[0], "present_match": True}]}
    if not guarded:
        yield _route("grpc-named", named, (_FRAMES, _CALLS, CALL_FILTER))
    yield _route("grpc", calls, (*(() if guarded else (_WHOLE,)), _FRAMES, _CALLS, CALL_FILTER))


def failed_calls() -> Json:
    """A filter for the access log: calls that failed for another reason than what the client sent. Their status is 200.

    Envoy gives every other request a code of gRPC too.
    """
    return {"and_filter": {"filters": [_IS_CALL, {"grpc_status_filter": {"statuses": _FAILURES}}]}}


def grpc_reply(cause: Json, more: Json) -> Json:
    """The mapper of the gateway's own response to a call: the sentence alone, and the status for the filter."""
    fields = more.get("fields", {})
    sentence = fields.get("detail", "%LOCAL_REPLY_BODY%")
    kind = fields.get("code", more.get("code", "%RESPONSE_CODE_DETAILS%"))
    rest = {name: value for name, value in more.items() if name not in ("code", "fields", "headers_to_add")}
    return {
        "filter": {"and_filter": {"filters": [cause, _IS_CALL]}},
        "body_format_override": {"text_format_source": {"inline_string": sentence}},
        **rest,
        "headers_to_add": [
            *more.get("headers_to_add", ()),
            put(STATUS, "%RESPONSE_CODE%"),
            put(KIND, kind),
        ],
    }


def grpc_text() -> Json:
    """The mapper of the gateway's own response to what is gRPC, but no call for a model: its sentence alone.

    Envoy itself makes the code of the status, and writes the body into `grpc-message`.
    """
    return {
        "filter": {"header_filter": {"header": {"name": "content-type", "string_match": _IS_GRPC}}},
        "body_format_override": {"text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}},
    }


def _route(name: str, match: Json, filters: Sequence[str]) -> Json:
    on = {one: typed("config.route.v3.FilterConfig", config={}) for one in filters}
    response = {"status": 404, "body": {"inline_string": NOT_GRPC}}
    return {"name": name, "match": match, "direct_response": response, "typed_per_filter_config": on}


def _off(filter_: Json) -> Json:
    return {**filter_, "disabled": True}


@cache
def _program(*, reads: bool) -> str:
    """The program, after the facts that it needs."""
    facts = {
        "CONTENT_TYPE": json.dumps(CONTENT_TYPE),
        "STATUS": json.dumps(STATUS),
        "SERVICE": json.dumps(f"/{SERVICE}/"),
        "READS": json.dumps(reads),
        "KEYS": _table(f"{json.dumps(one)}" for one in MODEL_KEYS),
        "METHODS": _table(f"{one} = true" for one in METHODS),
        "OWN": _table(f"{method} = {json.dumps(at)}" for method, at in OWN.items()),
        "CODES": _table(f'["{status}"] = "{code}"' for status, code in CODES.items()),
        "UNKNOWN": json.dumps(str(UNKNOWN)),
    }
    head = "".join(f"local {name} = {value}\n" for name, value in facts.items())
    return head + (resources.files("fairlead.routing.envoy") / "grpc.lua").read_text(encoding="utf-8")


def _table(items: Iterator[str]) -> str:
    return f"{{ {', '.join(items)} }}"
