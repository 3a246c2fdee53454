"""The bootstrap: what an Envoy is started with, and the only part that cannot change while it runs."""

from __future__ import annotations

from fairlead.contracts.gateway import GRID_MS
from fairlead.routing.envoy.proto import Json, address, extension, typed
from fairlead.routing.envoy.sources import from_folder
from fairlead.routing.snapshot import Endpoint

MAX_CONNECTIONS = 20_000


def bootstrap(folder: str, *, admin: Endpoint, node: str = "edge-1") -> Json:
    """For an Envoy that watches `folder`. The admin address must be a loopback one: it can stop the process."""
    return {
        "node": {"id": node, "cluster": "fairlead"},
        "admin": {"address": address(admin)},
        "dynamic_resources": {"cds_config": from_folder(folder, "cds"), "lds_config": from_folder(folder, "lds")},
        "stats_flush_interval": "1s",
        "stats_config": _statistics(),
        "overload_manager": {"resource_monitors": [_connections()]},
    }


def _statistics() -> Json:
    part = "[^.~]+"
    labels = {
        "role": r"^cluster\.((split|fallback|direct|aggregate))~",
        "namespace": rf"^cluster\.{part}~(({part}))~",
        "model": rf"^cluster\.{part}~{part}~(({part}))~",
        "version": rf"^cluster\.{part}~{part}~{part}~(({part}))(~{part})?\.",
    }
    # Every code and time is counted a second time as internal or external: nobody asks for those.
    twins = {"safe_regex": {"regex": r"cluster\.[^.]+\.(internal|external)\..*"}}
    return {
        "use_all_default_tags": True,
        "stats_matcher": {"exclusion_list": {"patterns": [twins]}},
        "stats_tags": [{"tag_name": f"fairlead.{label}", "regex": regex} for label, regex in labels.items()],
        "histogram_bucket_settings": [
            {"match": {"suffix": "upstream_rq_time"}, "buckets": list(GRID_MS)},
            {"match": {"prefix": "http."}, "buckets": list(GRID_MS)},
        ],
    }


def _connections() -> Json:
    return extension(
        "envoy.resource_monitors.global_downstream_max_connections",
        typed(
            "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            max_active_downstream_connections=MAX_CONNECTIONS,
        ),
    )
