"""The bootstrap: Envoy's startup configuration, the only part that cannot change while Envoy runs."""

from __future__ import annotations

from fairlead.contracts.gateway import GRID_MS
from fairlead.routing.envoy.admin_page import DRAIN_PAGE, LOOPBACK_HOSTS, READ_PAGES, admin_page, admin_socket
from fairlead.routing.envoy.clusters import discovery
from fairlead.routing.envoy.overload import MEMORY_BYTES, overload_manager
from fairlead.routing.envoy.proto import Json, address, extension, seconds, typed
from fairlead.routing.envoy.sources import TOKEN_HEADER, XDS, from_control_plane, from_folder
from fairlead.routing.envoy.tls import to_services
from fairlead.routing.snapshot import Endpoint

XDS_CONNECT_TIMEOUT_S = 1.0
XDS_TLS_CONNECT_TIMEOUT_S = 2.0
"""With TLS the control plane shakes hands, and it may be busy."""
XDS_TLS_REQUESTS = 30
"""So many requests share a connection with TLS: ten minutes while nothing changes. Then another one begins, with the
certificates of that moment."""
TOKEN = "token"
"""The name of the secret that holds a gateway's token."""
ADMIN_PAGES = (*READ_PAGES, DRAIN_PAGE, "drain_listeners")
"""All that is used of Envoy's admin page: what is read, and what a gateway that drains asks of itself.

Envoy answers 403 for all others, above all for /quitquitquit, which ends the process, and /logging.
"""


def bootstrap(
    folder: str,
    *,
    admin: Endpoint,
    admin_path: str | None = None,
    node: str = "edge-1",
    memory_bytes: int = MEMORY_BYTES,
) -> Json:
    """For an Envoy that watches `folder`. Envoy sheds load before it uses `memory_bytes`.

    With `admin_path`, the admin page is a socket at this path, for its owner only, and at `admin` one can only read.
    Without it, the admin address must be a loopback one: it can drain the gateway.
    """
    sources = {"cds_config": from_folder(folder, "cds"), "lds_config": from_folder(folder, "lds")}
    page = {} if admin_path is None else {"static_resources": admin_page(admin, admin_path, hosts=LOOPBACK_HOSTS)}
    at = address(admin) if admin_path is None else admin_socket(admin_path)
    return {
        "node": {"id": node, "cluster": "fairlead"},
        **_always(at, memory_bytes),
        "dynamic_resources": sources,
        **page,
    }


def rest_bootstrap(
    control_plane: Endpoint,
    *,
    admin: Endpoint,
    admin_path: str | None = None,
    drain: Endpoint | None = None,
    cluster: str,
    node: str | None = None,
    token: str | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> Json:
    """For Envoys that poll a control plane, whose host is an address or a DNS name that ends in a dot.

    They speak TLS with it if the endpoint has `secrets`, and show it their certificate.

    With `admin_path`, the admin page is a socket at this path, for its owner only, and at `admin` one can only read.
    `drain` is then a loopback address where a container, whose shell opens no socket, can take its gateway out of
    service. Without `admin_path`, every client of the admin address can: it must be a loopback one.

    `token` is the path of a file with `token_secret`: with it an Envoy sends its token with each request. Without
    `node` each Envoy gets its name by `--service-node`, so that many can share one file.
    """
    source = from_control_plane()
    page = (
        {"listeners": [], "clusters": []}
        if admin_path is None
        else admin_page(admin, admin_path, hosts=["*"], drain=drain)
    )
    at = address(admin) if admin_path is None else admin_socket(admin_path)
    return {
        "node": {**({"id": node} if node else {}), "cluster": cluster},
        **_always(at, memory_bytes),
        "dynamic_resources": {"cds_config": source, "lds_config": source},
        "static_resources": {**page, "clusters": [_control_plane(control_plane, token), *page["clusters"]]},
    }


def token_secret(token: str) -> Json:
    """The file of which Envoy learns where its token is. `token` is the token's path.

    It watches the folder: Kubernetes replaces the token by a new one long before it expires, by renaming a folder.
    """
    folder = token.rpartition("/")[0]
    secret = {"filename": token, "watched_directory": {"path": folder}}
    kind = "extensions.transport_sockets.tls.v3.Secret"
    return {"resources": [typed(kind, name=TOKEN, generic_secret={"secret": secret})]}


def _always(admin: Json, memory_bytes: int) -> Json:
    return {
        "admin": {"address": admin, "allow_paths": [_page(one) for one in ADMIN_PAGES]},
        "stats_flush_interval": "1s",
        "stats_config": _statistics(),
        "overload_manager": overload_manager(memory_bytes),
    }


def _page(name: str) -> Json:
    """This path, with any query."""
    return {"safe_regex": {"regex": rf"/{name}(\?.*)?"}}


def _control_plane(endpoint: Endpoint, token: str | None) -> Json:
    """Long polls send nothing for a long time, so TCP keepalive detects a replica whose machine is gone."""
    silence = {"keepalive_time": 5, "keepalive_interval": 2, "keepalive_probes": 3}
    return {
        "name": XDS,
        **discovery([endpoint]),
        "connect_timeout": seconds(XDS_TLS_CONNECT_TIMEOUT_S if endpoint.secrets else XDS_CONNECT_TIMEOUT_S),
        "upstream_connection_options": {"tcp_keepalive": silence},
        "load_assignment": {
            "cluster_name": XDS,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(endpoint)}}]}],
        },
        **_protocol(endpoint, token),
        **(to_services(endpoint.secrets, [endpoint.name or endpoint.host]) if endpoint.secrets else {}),
    }


def _protocol(endpoint: Endpoint, token: str | None) -> Json:
    """How this cluster speaks HTTP, where that is not Envoy's default."""
    if not token and not endpoint.secrets:
        return {}
    ends = {"common_http_protocol_options": {"max_requests_per_connection": XDS_TLS_REQUESTS}}
    options = typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        **(ends if endpoint.secrets else {}),
        explicit_http_config={"http_protocol_options": {}},
        **(_sends(token) if token else {}),
    )
    return {"typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}}


def _sends(secret: str) -> Json:
    """A filter of this cluster alone sends the token, so it goes nowhere else."""
    credential = {"name": TOKEN, "sds_config": {"path_config_source": {"path": secret}}}
    generic = typed(
        "extensions.http.injected_credentials.generic.v3.Generic", credential=credential, header=TOKEN_HEADER
    )
    injector = typed(
        "extensions.filters.http.credential_injector.v3.CredentialInjector",
        overwrite=True,
        credential=extension("envoy.http.injected_credentials.generic", generic),
    )
    codec = typed("extensions.filters.http.upstream_codec.v3.UpstreamCodec")
    return {
        "http_filters": [
            extension("envoy.filters.http.credential_injector", injector),
            extension("envoy.filters.http.upstream_codec", codec),
        ]
    }


def _statistics() -> Json:
    part = "[^.~]+"
    labels = {
        "role": r"^cluster\.((split|fallback|direct|aggregate))~",
        "namespace": rf"^cluster\.{part}~(({part}))~",
        "model": rf"^cluster\.{part}~{part}~(({part}))~",
        "version": rf"^cluster\.{part}~{part}~{part}~(({part}))(~{part})?\.",
    }
    # Envoy counts every code and time a second time as internal or external. These series are not used.
    duplicates = {"safe_regex": {"regex": r"cluster\.[^.]+\.(internal|external)\..*"}}
    return {
        "use_all_default_tags": True,
        "stats_matcher": {"exclusion_list": {"patterns": [duplicates]}},
        "stats_tags": [{"tag_name": f"fairlead.{label}", "regex": regex} for label, regex in labels.items()],
        "histogram_bucket_settings": [
            {"match": {"suffix": "upstream_rq_time"}, "buckets": list(GRID_MS)},
            {"match": {"prefix": "http."}, "buckets": list(GRID_MS)},
        ],
    }
