"""Envoy's admin page as a socket that only its owner can use, and the ports at which others get a part of it.

Whoever reaches the page itself can take the gateway out of service. On loopback every user of a machine reaches a port,
and so does every web page: a browser sends a POST of any site without asking first. In a cluster every pod reaches it,
unless a network policy is enforced.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.routing.envoy.proto import Json, address, extension, typed
from fairlead.routing.snapshot import Endpoint

READ_PAGES = ("ready", "server_info", "stats", "stats/prometheus", "clusters")
"""What is read of Envoy's admin page: by probes, the control plane, Prometheus and people."""
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""The `Host` names of this machine. Under another name a page of another site may ask, whose name leads here."""
DRAIN_PAGE = "healthcheck/fail"
"""With a POST of it a gateway drains: it is not ready, and every answer closes its connection."""
DRAIN_HOST = "drain"
"""The `Host` of that POST. No browser sends it, not even through a forwarded port."""
_NAME = "admin_page"
_DRAIN = "drain"
_OWNER_ONLY = 0o600


def admin_socket(path: str) -> Json:
    """The address of an admin page that only the owner of the process can use."""
    return {"pipe": {"path": path, "mode": _OWNER_ONLY}}


def admin_page(at: Endpoint, path: str, *, hosts: Sequence[str], drain: Endpoint | None = None) -> Json:
    """The static resources that answer `GET` of READ_PAGES at `at`, for these hosts, from the socket at `path`.

    `drain` is a loopback address where the container itself can take the gateway out of service: a shell opens no
    socket. Both answer as soon as Envoy has its first configuration; before that their ports are closed.
    """
    pages = "|".join(READ_PAGES)
    read = {"safe_regex": {"regex": rf"/({pages})"}, "headers": [_method("GET")]}
    listeners = [_listener(_NAME, at, read, f"GET of {', '.join(f'/{page}' for page in READ_PAGES)}", hosts)]
    if drain is not None:
        fail = {"path": f"/{DRAIN_PAGE}", "headers": [_method("POST")]}
        listeners.append(_listener(_DRAIN, drain, fail, f"POST of /{DRAIN_PAGE}", [DRAIN_HOST]))
    cluster = {
        "name": _NAME,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": _NAME,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": path}}}}]}],
        },
    }
    return {"listeners": listeners, "clusters": [cluster]}


def _listener(name: str, at: Endpoint, match: Json, answered: str, hosts: Sequence[str]) -> Json:
    """A port that passes on what matches, and says what it answers to everything else."""
    here = [{"match": match, "route": {"cluster": _NAME, "timeout": "30s"}}]
    here.append(_refusal(403, f"this port answers {answered}"))
    elsewhere = _refusal(421, f"this port answers for {', '.join(hosts)}")
    virtual_hosts: list[Json] = [{"name": "here", "domains": list(hosts), "routes": here}]
    if "*" not in hosts:
        virtual_hosts.append({"name": "elsewhere", "domains": ["*"], "routes": [elsewhere]})
    router = typed("extensions.filters.http.router.v3.Router", suppress_envoy_headers=True)
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        normalize_path=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        strip_any_host_port=True,
        request_headers_timeout="10s",
        route_config={"name": name, "virtual_hosts": virtual_hosts},
        http_filters=[extension("envoy.filters.http.router", router)],
    )
    return {
        "name": name,
        "address": address(at),
        # The control plane keeps its connection to a gateway that drains.
        "drain_type": "MODIFY_ONLY",
        # Probes and the control plane must be answered above all when the gateway has too much to do.
        "ignore_global_conn_limit": True,
        "bypass_overload_manager": True,
        "filter_chains": [{"filters": [extension("envoy.filters.network.http_connection_manager", manager)]}],
    }


def _method(name: str) -> Json:
    return {"name": ":method", "string_match": {"exact": name}}


def _refusal(status: int, text: str) -> Json:
    return {
        "match": {"prefix": "/"},
        "direct_response": {"status": status, "body": {"inline_string": f"{text}\n"}},
    }
