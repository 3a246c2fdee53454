"""Holding: requests for a cold version wait at the gateway until the control plane says that an instance is ready.

The filter that asks the control plane is in the listener, and off: only the routes of cold versions turn it on. It
sends the head of a request and never its body, which stays with the client beyond what one connection buffers. Calls
of gRPC have a filter of their own: whether a filter is on is decided before a call has the path of its model.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

from fairlead.contracts.route import MOST_WAITING
from fairlead.routing.envoy.clusters import one_endpoint
from fairlead.routing.envoy.proto import Json, extension, put, seconds, typed
from fairlead.routing.rules import VERSION_HEADER
from fairlead.routing.snapshot import Endpoint

HOLD = "hold"
"""The cluster of requests that wait: the control plane, with limits of their own."""
HOLD_PATH = "/hold"
"""What the gateway puts before the path of a request that it asks about."""
FILTER = "envoy.filters.http.ext_authz"
CALL_FILTER = "fairlead.grpc_hold"
LUA = "extensions.filters.http.lua.v3.Lua"
RETRY_AFTER_S = 5
TOO_MANY = "the model is cold, and too many requests wait already, or no control plane that leads answers in time"
_RETRIES = 1000
_PAUSE_S = (0.1, 0.5)
"""The shortest and the longest pause before the control plane is asked again."""
_ALIVE = {"tcp_keepalive": {"keepalive_time": 5, "keepalive_interval": 5, "keepalive_probes": 3}}
"""A control plane whose node is gone closes no connection: after 20 s the next one is asked."""


def hold_cluster(control: Endpoint) -> Json:
    """The control plane, for requests that wait: each has a connection of its own. One that ends is asked again."""
    fields = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    limits: Json = {
        "circuit_breakers": {"thresholds": [dict.fromkeys(fields, MOST_WAITING)]},
        "upstream_connection_options": _ALIVE,
    }
    shortest, longest = map(seconds, _PAUSE_S)
    # Here and not in the filter, which would take the longest pause as the time limit of a try, too.
    retries = {
        "retry_on": "5xx",  # also a connection that is refused or reset
        "num_retries": _RETRIES,
        "retry_back_off": {"base_interval": shortest, "max_interval": longest},
    }
    return one_endpoint(HOLD, control, limits, retry_policy=retries)


def hold_filter(limit_s: float) -> Json:
    """Asks the control plane about a request, and waits for the answer, a little shorter than the request may take."""
    config = typed(
        "extensions.filters.http.ext_authz.v3.ExtAuthz",
        transport_api_version="V3",
        allowed_headers={"patterns": [{"exact": VERSION_HEADER}]},
        status_on_error={"code": 503},
        http_service={
            "server_uri": {"uri": f"http://{HOLD}", "cluster": HOLD, "timeout": seconds(0.97 * limit_s)},
            "path_prefix": HOLD_PATH,
            "authorization_response": {"allowed_client_headers": {"patterns": [{"exact": "retry-after"}]}},
        },
    )
    return {**extension(FILTER, config), "disabled": True}


def call_hold_filter(limit_s: float) -> Json:
    """The same for calls of gRPC. It is off, and on from the routes for calls."""
    program = {"inline_string": _program(round(970 * limit_s))}
    return {**extension(CALL_FILTER, typed(LUA, default_source_code=program)), "disabled": True}


def held() -> Json:
    """Turns the filter on for one route. Its metadata say so to the filter of calls."""
    return {
        "typed_per_filter_config": {FILTER: typed("config.route.v3.FilterConfig", config={})},
        "metadata": {"filter_metadata": {CALL_FILTER: {"held": True}}},
    }


def replies() -> list[tuple[str, str, int, Json]]:
    """The gateway's own responses to requests that waited in vain: the code of Envoy, what to say (empty: what the
    control plane said), the status, and what else is in them."""
    later = {"headers_to_add": [put("retry-after", str(RETRY_AFTER_S))]}
    return [("ext_authz_denied", "", 503, {}), ("ext_authz_error", TOO_MANY, 503, later)]


@cache
def _program(limit_ms: int) -> str:
    facts = {
        "CLUSTER": HOLD,
        "HOLD_PATH": HOLD_PATH,
        "VERSION_HEADER": VERSION_HEADER,
        "RETRY_AFTER": str(RETRY_AFTER_S),
        "TOO_MANY": TOO_MANY,
        "LIMIT_MS": limit_ms,
    }
    head = "".join(f"local {name} = {json.dumps(value)}\n" for name, value in facts.items())
    return head + (resources.files("fairlead.routing.envoy") / "grpc_hold.lua").read_text(encoding="utf-8")
