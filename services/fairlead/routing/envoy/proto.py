"""Helpers for recurring parts of Envoy's configuration, and the names by which its resources refer to each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from fairlead.routing.snapshot import Endpoint

Json = dict[str, Any]

_TYPES = "type.googleapis.com/envoy."
CLUSTER = f"{_TYPES}config.cluster.v3.Cluster"
LISTENER = f"{_TYPES}config.listener.v3.Listener"
ROUTES = f"{_TYPES}config.route.v3.RouteConfiguration"

CONTROL = "control"
"""The control plane's cluster."""
EDGE = "edge"
"""The listener, and the prefix of its HTTP statistics."""
MODELS = "models"
"""The route configuration."""
READY = "/v2/health/ready"
"""The path of the gateway's readiness."""


def typed(kind: str, /, **fields: Any) -> Json:
    """A message with its "@type": `typed("extensions.filters.http.router.v3.Router")`."""
    return {"@type": _TYPES + kind, **fields}


def longest_prefix(prefixes: Mapping[str, Json], header: str, *, otherwise: Json) -> Json:
    """A matcher that takes the action of the longest of `prefixes` that a header starts with."""
    value = typed("type.matcher.v3.HttpRequestHeaderMatchInput", header_name=header)
    by_prefix = {prefix: {"action": action} for prefix, action in prefixes.items()}
    return {
        "matcher_tree": {"input": extension("header", value), "prefix_match_map": {"map": by_prefix}},
        "on_no_match": {"action": otherwise},
    }


def extension(name: str, config: Json) -> Json:
    """An extension as Envoy lists them: its name and its typed configuration."""
    return {"name": name, "typed_config": config}


def put(header: str, value: str) -> Json:
    """Set a header, replacing an existing value."""
    return {"header": {"key": header, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def seconds(duration: float) -> str:
    """A duration as protobuf writes it: 0.5 -> "0.5s"."""
    return f"{duration:.9f}".rstrip("0").rstrip(".") + "s"


def address(endpoint: Endpoint) -> Json:
    """An endpoint as a socket address."""
    return {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}


def is_address(host: str) -> bool:
    """Whether a host is an IP address, and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def stripped(resource: Mapping[str, Any]) -> Json:
    """The resource without its "@type", for fields with a fixed type."""
    return {key: value for key, value in resource.items() if key != "@type"}
