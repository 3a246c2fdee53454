"""A port on which others may read Envoy's admin page, while only its owner can use the page itself, through a socket.

On loopback every user of the machine reaches a port, and so does every web page: a browser sends a POST of any site
without asking first. Two paths of the admin page take the gateway out of service with a POST.
"""

from __future__ import annotations

from fairlead.routing.envoy.proto import Json, address, extension, typed
from fairlead.routing.snapshot import Endpoint

READ_PAGES = ("ready", "server_info", "stats", "stats/prometheus", "clusters")
"""What is read of Envoy's admin page: by probes, the control plane, Prometheus and people."""
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""The `Host` names of this machine. Under another name a page of another site may ask, whose name leads here."""
_NAME = "admin_page"
_OWNER_ONLY = 0o600


def admin_socket(path: str) -> Json:
    """The address of an admin page that only the owner of the process can use."""
    return {"pipe": {"path": path, "mode": _OWNER_ONLY}}


def admin_page(at: Endpoint, path: str) -> Json:
    """The static resources that answer `GET` of READ_PAGES at `at`, from the socket at `path`."""
    return {
        "listeners": [
            {
                "name": _NAME,
                "address": address(at),
                # Probes and the control plane must be answered above all when the gateway has too much to do.
                "ignore_global_conn_limit": True,
                "bypass_overload_manager": True,
                "filter_chains": [
                    {"filters": [extension("envoy.filters.network.http_connection_manager", _manager())]}
                ],
            }
        ],
        "clusters": [
            {
                "name": _NAME,
                "type": "STATIC",
                "connect_timeout": "1s",
                "load_assignment": {
                    "cluster_name": _NAME,
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": path}}}}]}],
                },
            }
        ],
    }


def _manager() -> Json:
    pages = "|".join(READ_PAGES)
    read = {"safe_regex": {"regex": rf"/({pages})"}, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}
    here = [
        {"match": read, "route": {"cluster": _NAME, "timeout": "30s"}},
        _refusal(403, f"this port answers GET of {', '.join(f'/{page}' for page in READ_PAGES)}"),
    ]
    elsewhere = [_refusal(421, f"this port answers for {', '.join(LOOPBACK_HOSTS)}")]
    router = typed("extensions.filters.http.router.v3.Router", suppress_envoy_headers=True)
    return typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=_NAME,
        normalize_path=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        strip_any_host_port=True,
        route_config={
            "name": _NAME,
            "virtual_hosts": [
                {"name": "here", "domains": list(LOOPBACK_HOSTS), "routes": here},
                {"name": "elsewhere", "domains": ["*"], "routes": elsewhere},
            ],
        },
        http_filters=[extension("envoy.filters.http.router", router)],
    )


def _refusal(status: int, text: str) -> Json:
    return {
        "match": {"prefix": "/"},
        "direct_response": {"status": status, "body": {"inline_string": f"{text}\n"}},
    }
