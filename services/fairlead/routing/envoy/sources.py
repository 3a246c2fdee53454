"""Where a gateway gets its configuration from."""

from __future__ import annotations

from fairlead.routing.envoy.proto import Json, seconds

FILES = {"cds": "cds.json", "lds": "lds.json", "rds": "rds.json"}
"""The file of each kind, in the folder that a gateway watches."""
XDS = "xds"
"""The cluster of the control plane's discovery service, in the bootstrap."""
REQUEST_TIMEOUT_S = 30.0
"""How long Envoy waits for an answer: longer than a question is held (`publish.server.HOLD_S`)."""
REFRESH_S = 0.05
"""How soon after an answer Envoy asks again: once to twice this."""


def from_folder(folder: str, kind: str) -> Json:
    """A watched file. It must exist before Envoy starts, and is replaced by renaming a complete one over it.

    No `watched_directory`: with it every rename in the folder would load all three files again, and a file that was
    rejected once would be rejected, and counted, every time.
    """
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "0s",
        "path_config_source": {"path": f"{folder}/{FILES[kind]}"},
    }


def from_control_plane() -> Json:
    """Questions to the control plane, which holds them until there is something new.

    No time limit for the first answer: a gateway that cannot get one stays not ready, and its port closed.
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
