"""Config sources: where a gateway gets its configuration from, watched files or the control plane."""

from __future__ import annotations

from fairlead.routing.envoy.proto import Json, seconds

FILES = {"cds": "cds.json", "lds": "lds.json", "rds": "rds.json"}
"""The file of each kind, in the folder that a gateway watches."""
XDS = "xds"
"""The cluster of the control plane's discovery service, in the bootstrap."""
TOKEN_HEADER = "x-fairlead-gateway-token"
"""The header in which a gateway sends its token to the discovery service."""
REQUEST_TIMEOUT_S = 30.0
"""How long Envoy waits for a response: longer than the server holds a request (`publish.server.HOLD_S`)."""
REFRESH_S = 0.05
"""How soon after a response Envoy sends the next request: after one to two times this."""


def from_folder(folder: str, kind: str) -> Json:
    """A watched file. It must exist before Envoy starts, and must be replaced by renaming a complete one over it.

    No `watched_directory`: with it every rename in the folder would reload all three files, and Envoy would reject,
    and count, a rejected file again every time.
    """
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "0s",
        "path_config_source": {"path": f"{folder}/{FILES[kind]}"},
    }


def from_control_plane() -> Json:
    """Long polls to the control plane, which holds each request until there is something new.

    The first response has no timeout: until a gateway gets one, it is not ready and its port stays closed.
    """
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "0s",
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": [XDS],
            "refresh_delay": seconds(REFRESH_S),
            "request_timeout": seconds(REQUEST_TIMEOUT_S),
        },
    }
