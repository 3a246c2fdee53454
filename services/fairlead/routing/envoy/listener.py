"""The listeners: processing of every request before routing, and of the gateway's own responses."""

from __future__ import annotations

from collections.abc import Iterator

from fairlead.contracts.answers import KEEP_HEADER, REVISION_HEADER, SHADOW_HEADER
from fairlead.contracts.gateway import PASS_HEADER, ROUTED_HEADER
from fairlead.routing.envoy.access import access_filters
from fairlead.routing.envoy.access_log import access_logs, attempt_logs
from fairlead.routing.envoy.actions import STREAM_IDLE_TIMEOUT_S
from fairlead.routing.envoy.entry import ENTRY, gate
from fairlead.routing.envoy.grpc import grpc_filters
from fairlead.routing.envoy.holding import call_hold_filter, hold_filter
from fairlead.routing.envoy.local_replies import AT_READY, mappers
from fairlead.routing.envoy.proto import EDGE, LISTENER, MODELS, Json, address, extension, put, seconds, typed
from fairlead.routing.envoy.tls import to_clients
from fairlead.routing.envoy.tracing import tracing
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


def listeners(settings: Settings) -> Iterator[Json]:
    """The port without TLS and, where the entry has TLS, the one with it: each has all filters of a request."""
    entry = settings.entry
    yield _listener(EDGE, settings, settings.port, gated=entry is not None and entry.is_gated)
    if entry is not None:
        tls = to_clients(entry.secrets, asks_for_certificates=entry.asks_for_certificates)
        yield _listener(ENTRY, settings, entry.port, tls)


def _listener(name: str, settings: Settings, port: int, tls: Json | None = None, *, gated: bool = False) -> Json:
    manager = extension("envoy.filters.network.http_connection_manager", _manager(settings, gated=gated))
    return {
        "@type": LISTENER,
        "name": name,
        "address": address(Endpoint(settings.host, port)),
        "per_connection_buffer_limit_bytes": CONNECTION_BUFFER_BYTES,
        "filter_chains": [{"filters": [manager], **(tls or {})}],
    }


def _manager(settings: Settings, *, gated: bool) -> Json:
    routes = (
        {"rds": {"route_config_name": MODELS, "config_source": settings.routes_from}} if settings.routes_from else {}
    )
    return typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=EDGE,
        **routes,
        **_hygiene(settings),
        **_request_ids(passes=gated or settings.entry is None),
        http_filters=list(_filters(settings, gated=gated)),
        local_reply_config={
            "mappers": list(
                mappers(
                    settings.cors_origins,
                    guarded=settings.guard is not None,
                    gated=gated,
                    holds=settings.holds,
                    grpc=settings.grpc,
                )
            )
        },
        **access_logs(settings),
        **(tracing(settings.tracing) if settings.tracing is not None else {}),
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
        "request_timeout": seconds(settings.receive_timeout_s + settings.longest_wait_s),
        "drain_timeout": "5s",
        "server_header_transformation": "PASS_THROUGH",
    }


def _request_ids(*, passes: bool) -> Json:
    """The gateway gives every request an id, by which records are joined; `x-client-request-id` is the client's own.

    `passes`: the platform's own key, which no model may see, is removed elsewhere or never sent.
    """
    mutations: list[Json] = [
        _ENVOY_HEADERS,
        {"remove": "x-client-request-id"},
        {"append": put("x-client-request-id", "%REQ(x-request-id)%")},
        # Only the gateway may set these.
        *(
            {"remove": header}
            for header in (
                "x-request-id",
                SHADOW_HEADER,
                KEEP_HEADER,
                REVISION_HEADER,
                ROUTED_HEADER,
                "x-forwarded-prefix",
            )
        ),
        *(() if passes else ({"remove": PASS_HEADER},)),
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


def _filters(settings: Settings, *, gated: bool) -> Iterator[Json]:
    filters = "extensions.filters.http."
    if gated and settings.entry is not None:
        yield gate(settings.entry)
    if settings.grpc:  # before all that look at the route, which changes there
        yield from grpc_filters(settings.max_request_bytes, guarded=settings.guard is not None)
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
        limit_s = settings.receive_timeout_s + settings.longest_wait_s
        yield hold_filter(limit_s)
        if settings.grpc:
            yield call_hold_filter(limit_s)
    limit = typed(f"{filters}buffer.v3.Buffer", max_request_bytes=settings.max_request_bytes)
    yield extension(f"{_HTTP}buffer", limit)
    router = typed(f"{filters}router.v3.Router", suppress_envoy_headers=True, **attempt_logs(settings))
    yield extension(f"{_HTTP}router", router)
