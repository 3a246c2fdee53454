"""The listener: processing of every request before routing, and of the gateway's own responses."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.contracts.answers import KEEP_HEADER, SHADOW_HEADER
from fairlead.contracts.gateway import ROUTED_HEADER
from fairlead.routing.envoy.access import DECISION, access_filters, decided
from fairlead.routing.envoy.actions import STREAM_IDLE_TIMEOUT_S
from fairlead.routing.envoy.holding import hold_filter
from fairlead.routing.envoy.local_replies import AT_READY, mappers, status
from fairlead.routing.envoy.proto import EDGE, LISTENER, MODELS, Json, address, extension, put, seconds, typed
from fairlead.routing.snapshot import Endpoint, Settings

CONNECTION_BUFFER_BYTES = 32 << 10
"""What a connection reads at once, and keeps of an answer that its client does not take. Bodies are buffered beside it.
"""
LOCALHOST = "localhost"
"""The host of requests of HTTP/1.0, which need not name one."""
MAX_STREAMS = 100
"""Requests at a time on one connection of HTTP/2."""
STREAM_WINDOW_BYTES = 64 << 10
CONNECTION_WINDOW_BYTES = 1 << 20
_HTTP = "envoy.filters.http."
# Envoy obeys these headers (retry policy, timeout) from any client. So clients may neither send them nor see ours.
_ENVOY_HEADERS: Json = {"remove_on_match": {"key_matcher": {"prefix": "x-envoy-", "ignore_case": True}}}


def listener(settings: Settings) -> Json:
    """The one listener: plain HTTP, with all filters that a request for a model passes."""
    manager = extension("envoy.filters.network.http_connection_manager", _manager(settings))
    return {
        "@type": LISTENER,
        "name": EDGE,
        "address": address(Endpoint(settings.host, settings.port)),
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER_BYTES,
        "filter_chains": [{"filters": [manager]}],
    }


def _manager(settings: Settings) -> Json:
    routes = (
        {"rds": {"route_config_name": MODELS, "config_source": settings.routes_from}} if settings.routes_from else {}
    )
    return typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=EDGE,
        **routes,
        **_hygiene(settings),
        **_request_ids(),
        http_filters=list(_filters(settings)),
        local_reply_config={
            "mappers": list(mappers(settings.cors_origins, guarded=settings.guard is not None, holds=settings.holds))
        },
        **({"access_log": [*_access_logs(settings)]} if settings.access_log or settings.guard else {}),
    )


def _hygiene(settings: Settings) -> Json:
    """Limits and path normalisation: two spellings of a path must not match two rules."""
    return {
        "use_remote_address": True,
        "internal_address_config": {},
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "common_http_protocol_options": {"idle_timeout": "300s", "headers_with_underscores_action": "REJECT_REQUEST"},
        # nginx speaks HTTP/1.0 to what it stands in front of, unless told otherwise.
        "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": LOCALHOST},
        "http2_protocol_options": {
            "max_concurrent_streams": MAX_STREAMS,
            "initial_stream_window_size": STREAM_WINDOW_BYTES,
            "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
        },
        "stream_idle_timeout": seconds(STREAM_IDLE_TIMEOUT_S),
        "request_headers_timeout": "10s",
        "request_timeout": seconds(settings.receive_timeout_s),
        "drain_timeout": "5s",
        "server_header_transformation": "PASS_THROUGH",
    }


def _request_ids() -> Json:
    """The gateway gives every request an id, by which records are joined; `x-client-request-id` is the client's own."""
    mutations: list[Json] = [
        _ENVOY_HEADERS,
        {"remove": "x-client-request-id"},
        {"append": put("x-client-request-id", "%REQ(x-request-id)%")},
        # Only the gateway may set these.
        *(
            {"remove": header}
            for header in ("x-request-id", SHADOW_HEADER, KEEP_HEADER, ROUTED_HEADER, "x-forwarded-prefix")
        ),
    ]
    uuid = typed("extensions.request_id.uuid.v3.UuidRequestIdConfig", pack_trace_reason=False)
    return {
        "generate_request_id": True,
        "always_set_request_id_in_response": True,
        "request_id_extension": {"typed_config": uuid},
        "early_header_mutation_extensions": [
            extension(
                "envoy.http.early_header_mutation.header_mutation",
                typed("extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation", mutations=mutations),
            )
        ],
    }


def _filters(settings: Settings) -> Iterator[Json]:
    filters = "extensions.filters.http."
    # First, so that it also removes the headers that the health check adds.
    clear = {"response_mutations": [_ENVOY_HEADERS]}
    yield extension(f"{_HTTP}header_mutation", typed(f"{filters}header_mutation.v3.HeaderMutation", mutations=clear))
    check = typed(f"{filters}health_check.v3.HealthCheck", pass_through_mode=False, headers=[AT_READY])
    yield extension(f"{_HTTP}health_check", check)
    if settings.cors_origins:
        yield extension(f"{_HTTP}cors", typed(f"{filters}cors.v3.Cors"))
    if settings.guard is not None:
        yield from access_filters(settings.guard)
    if settings.holds:  # after the guard: who may not call a model does not start it
        yield hold_filter()
    limit = typed(f"{filters}buffer.v3.Buffer", max_request_bytes=settings.max_request_bytes)
    yield extension(f"{_HTTP}buffer", limit)
    yield extension(f"{_HTTP}router", typed(f"{filters}router.v3.Router", suppress_envoy_headers=True))


def _failures() -> Json:
    """A filter for the access log: the requests that failed."""
    # No status (the client left) or another than 2xx. A flag alone is no failure: a request whose second attempt was
    # answered has one too.
    no_success = {"or_filter": {"filters": [status("LE", 199), status("GE", 300)]}}
    flagged = {"and_filter": {"filters": [no_success, {"response_flag_filter": {}}]}}
    failed = {"or_filter": {"filters": [status("GE", 500), flagged]}}
    # "Not ready" is the answer to a question and no failure; whoever starts a platform asks it often.
    asks_ready = {"name": ":path", "string_match": {"suffix": "/ready"}}
    is_other = {"header_filter": {"header": {**asks_ready, "invert_match": True}}}
    return {"and_filter": {"filters": [failed, is_other]}}


def _access_logs(settings: Settings) -> Iterator[Json]:
    guarded = settings.guard is not None
    if settings.access_log:
        yield _access_log(settings.access_log, failures_only=settings.access_log_failures_only, guarded=guarded)
    if guarded:
        yield _requests_of_clients()


def _requests_of_clients() -> Json:
    """Counts requests by client and class of their status: `access.requests`."""
    tags = {"fairlead.client": decided("client"), "fairlead.status": "%RESPONSE_CODE%"}
    counter = {
        "stat": {
            "name": "requests",
            "tags": [{"name": tag, "value_format": text} for tag, text in tags.items()],
        },
        "value_fixed": 1,
    }
    config = typed("extensions.access_loggers.stats.v3.Config", stats_scope={"prefix": "access"}, counters=[counter])
    # Not the requests for open paths, which nobody has to send.
    name = {"filter": DECISION, "path": [{"key": "client"}], "value": {"present_match": True}}
    known = {"metadata_filter": {"matcher": name, "match_if_key_not_found": False}}
    return {**extension("envoy.access_loggers.stats", config), "filter": known}


def _access_log(path: str, *, failures_only: bool, guarded: bool) -> Json:
    line = {
        "time": "%START_TIME%",
        "request_id": "%REQ(x-request-id)%",
        "method": "%REQ(:method)%",
        "path": "%REQ(x-envoy-original-path?:path)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "duration_ms": "%DURATION%",
        "route": "%ROUTE_NAME%",
        "cluster": "%UPSTREAM_CLUSTER_RAW%",
        "host": "%UPSTREAM_HOST%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "revision": "%RESP(x-route-revision)%",
    }
    if guarded:  # a query may have a key in it, by mistake
        line |= {"path": "%PATH(NQ:ORIG_OR_PATH)%", "client": decided("client")}
    log = extension(
        "envoy.access_loggers.file",
        typed("extensions.access_loggers.file.v3.FileAccessLog", path=path, log_format={"json_format": line}),
    )
    return {**log, "filter": _failures()} if failures_only else log
