"""Tracing: one span for each request, one for each attempt at a service, and where Envoy sends them.

The decision is made once, by the trace id, so that gateways and services of one trace decide alike. What a caller says
in `traceparent` continues its trace. Whether the caller records it is followed only where callers are trusted: each
recorded request costs more, and everybody can ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairlead.contracts.answers import REVISION_HEADER
from fairlead.routing.envoy.clusters import one_endpoint
from fairlead.routing.envoy.proto import Json, extension, seconds, typed
from fairlead.routing.snapshot import Endpoint, Tracing

COLLECTOR = "collector"
"""The cluster that takes spans."""
SERVICE = "fairlead-gateway"
"""The gateway's `service.name`."""
TIMEOUT_S = 2.0
MOST_WAITING = 1024
"""Spans that wait to be sent; more are dropped, and counted."""
MOST_SENDING = 8
"""Requests to the collector at a time."""
PATH_LENGTH = 256
_SAMPLERS = "extensions.tracers.opentelemetry.samplers.v3."
_TAGS = {
    "http.url": "%REQ(:authority)%%PATH(NQ:ORIG_OR_PATH)%",  # Envoy's own has the query, which may have a key in it
    "fairlead.route": "%ROUTE_NAME%",
    "fairlead.model": "%RESP(x-model-name)%",
    "fairlead.revision": f"%RESP({REVISION_HEADER})%",
    "fairlead.attempt": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "fairlead.details": "%RESPONSE_CODE_DETAILS%",
}
"""Attributes of every span: of an attempt as it was then, and of a request as it ended. One without a value is not
written."""
_VERSION: Json = {
    "tag": "fairlead.version",
    "metadata": {"kind": {"cluster": {}}, "metadata_key": {"key": "fairlead", "path": [{"key": "version"}]}},
}
"""Also where no service answered: of the cluster that was tried."""


def tracing(settings: Tracing) -> Json:
    """The field of the HTTP connection manager."""
    everything: Json = {"value": 100}  # the sampler decides
    return {
        "tracing": {
            "client_sampling": {"value": 0},  # x-client-trace-id
            "random_sampling": everything,
            "overall_sampling": everything,
            "spawn_upstream_span": True,
            "max_path_tag_length": PATH_LENGTH,
            "custom_tags": [*({"tag": name, "value": value} for name, value in _TAGS.items()), _VERSION],
            "provider": extension("envoy.tracers.opentelemetry", _provider(settings)),
        }
    }


def collector_clusters(settings: Tracing | None) -> Iterator[Json]:
    """The cluster of the collector, if spans are sent."""
    if settings is None:
        return
    fields = ("max_connections", "max_pending_requests", "max_requests")
    more: Json = {"circuit_breakers": {"thresholds": [dict.fromkeys(fields, MOST_SENDING)]}}
    if settings.is_grpc:
        options = typed(
            "extensions.upstreams.http.v3.HttpProtocolOptions",
            explicit_http_config={"http2_protocol_options": {}},
        )
        kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        more["typed_extension_protocol_options"] = {kind: options}
    yield one_endpoint(COLLECTOR, settings.collector, more)


def _provider(settings: Tracing) -> Json:
    return typed(
        "config.trace.v3.OpenTelemetryConfig",
        **_service(settings),
        service_name=SERVICE,
        sampler=_sampler(settings),
        max_cache_size=MOST_WAITING,
    )


def _service(settings: Tracing) -> Json:
    timeout = seconds(TIMEOUT_S)
    if settings.is_grpc:
        return {"grpc_service": {"envoy_grpc": {"cluster_name": COLLECTOR}, "timeout": timeout}}
    uri = f"http://{_authority(settings.collector)}/v1/traces"
    return {"http_service": {"http_uri": {"uri": uri, "cluster": COLLECTOR, "timeout": timeout}}}


def _authority(endpoint: Endpoint) -> str:
    host = endpoint.host.removesuffix(".")
    return f"[{host}]:{endpoint.port}" if ":" in host else f"{host}:{endpoint.port}"


def _sampler(settings: Tracing) -> dict[str, Any]:
    share = {"numerator": settings.per_million, "denominator": "MILLION"}
    by_id = extension(
        "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
        typed(f"{_SAMPLERS}TraceIdRatioBasedSamplerConfig", sampling_percentage=share),
    )
    if not settings.follows_callers:
        return by_id
    return extension(
        "envoy.tracers.opentelemetry.samplers.parent_based",
        typed(f"{_SAMPLERS}ParentBasedSamplerConfig", wrapped_sampler=by_id),
    )
