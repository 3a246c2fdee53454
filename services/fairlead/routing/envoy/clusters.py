"""Clusters: one for each role of a version, and one for the control plane.

A version has its endpoints in up to three clusters, because each has its own ejection state: failures of pinned
requests must not eject hosts of the split, and the candidate's per-try timeout must not eject hosts of stable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fairlead.contracts.gateway import SPILL_REFUSED_HEADER, Role, cluster_name, identity_part, stat_name
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.errors import Invalid
from fairlead.routing.envoy.health_checks import ready_checks
from fairlead.routing.envoy.proto import CLUSTER, CONTROL, Json, address, extension, is_address, seconds, typed
from fairlead.routing.envoy.tls import to_services
from fairlead.routing.snapshot import Endpoint

Endpoints = Mapping[tuple[str, str, VersionRef], Sequence[Endpoint]]

CONNECT_TIMEOUT_S = 0.5
IDLE_TIMEOUT_S = 30.0
"""Services keep idle connections for 75 s, so the gateway always closes first and never writes to a closing one."""
TLS_CONNECT_TIMEOUT_S = 2.0
"""Longer than without TLS: the system accepts a connection, but the service shakes hands, and it may be busy."""
TLS_REQUESTS = 10_000
"""So many requests share a connection with TLS. Then another begins, with the certificates of that moment. A limit of
time would end many at once, and a service needs a millisecond or two of its processor for each that begins."""
DNS_REFRESH_S = 5.0
OFTEN_REFRESH_S = 1.0
"""For the names of versions that may be cold: requests wait until every gateway has found an instance."""
EJECT_AFTER = 5
"""A host is ejected after this many consecutive failures (5xx, refused, reset)."""
EJECTION_S = 5.0
MAX_EJECTION_S = 60.0
UNBOUNDED = 4096
"""Services bound their queues and answer 429 with a reason; a circuit breaker here would only hide that."""
_ONLY_ANSWERS: Json = {
    "split_external_local_origin_errors": True,
    "enforcing_consecutive_local_origin_failure": 0,
    "enforcing_local_origin_success_rate": 0,
}
"""Eject for answers with 5xx only, and not for what the gateway itself noticed: timeouts, refused connections."""
_FAILED: Json = {
    "and_match": {
        "rules": [
            {"http_response_headers_match": {"headers": [{"name": ":status", "string_match": {"prefix": "5"}}]}},
            {
                "not_match": {
                    "http_response_headers_match": {"headers": [{"name": SPILL_REFUSED_HEADER, "present_match": True}]}
                }
            },
        ]
    }
}
"""What ejects stable's instances from answering in the candidate's place."""
DIRECT_LIMIT = 256
"""Concurrent requests to one version outside the split: a mirror that hangs holds at most this many."""


def name_of(role: Role, table: Table, ref: VersionRef) -> str:
    """The name of the cluster for a version of this table in this role."""
    return cluster_name(role, table.namespace, table.model, ref.version, identity_part(table.pins, ref))


def table_clusters(table: Table, endpoints: Endpoints) -> Iterator[Json]:
    """Every cluster that one table needs; a version without endpoints has empty clusters."""

    def at(ref: VersionRef) -> Sequence[Endpoint]:
        return endpoints.get((table.namespace, table.model, ref), ())

    for ref in table.pins:
        yield _members(name_of(Role.DIRECT, table, ref), ref, at(ref), _breakers(DIRECT_LIMIT))
    stable, candidate = table.stable, table.candidate
    guarded = {**_counted(), **_ejection(percent=10), "common_lb_config": {"healthy_panic_threshold": {"value": 50}}}
    yield _members(name_of(Role.SPLIT, table, stable), stable, at(stable), guarded)
    if candidate is None:
        return
    salt = {"attempt": table.attempt}
    alone = {**_counted(), **_ejection(percent=100), "common_lb_config": {"healthy_panic_threshold": {"value": 0}}}
    yield _spill_only_without_hosts(
        _members(name_of(Role.SPLIT, table, candidate), candidate, at(candidate), alone, salt)
    )
    # The candidate's time limit is reported for a try at stable too, and must not eject stable's instances.
    answering = {"outlier_detection": {**guarded["outlier_detection"], **_ONLY_ANSWERS}}
    yield _members(name_of(Role.FALLBACK, table, stable), stable, at(stable), {**guarded, **answering}, salt)
    yield _aggregate(table, candidate)


def control_cluster(endpoint: Endpoint) -> Json:
    """The control plane: the model list and explanations, never a prediction."""
    return one_endpoint(CONTROL, endpoint, {})


def one_endpoint(name: str, endpoint: Endpoint, more: Json, **options: Json) -> Json:
    """A cluster that is no version of a model. `options` are more options of its protocol."""
    return _cluster(name, [endpoint], more, **options)


def _members(
    name: str, ref: VersionRef, hosts: Sequence[Endpoint], more: Json, metadata: Mapping[str, object] | None = None
) -> Json:
    # Envoy rebuilds a cluster when a field changes, which clears its ejections: a new identity or attempt starts clean.
    known = {"version": ref.version, "identity": ref.identity, **(metadata or {})}
    always = {"lb_policy": "LEAST_REQUEST", "metadata": {"filter_metadata": {"fairlead": known}}}
    # The supervisor checks instances with addresses itself. DNS answers for a name may be wrong for a while.
    named = _names(hosts)[:1]
    return _cluster(name, hosts, {**always, **(ready_checks(named[0]) if named else {}), **more})


def _cluster(name: str, hosts: Sequence[Endpoint], more: Json, **options: Json) -> Json:
    lb_endpoints = [{"endpoint": {"address": address(host)}} for host in sorted(set(hosts))]
    return {
        "@type": CLUSTER,
        "name": name,
        "alt_stat_name": stat_name(name),
        **discovery(hosts),
        "connect_timeout": seconds(CONNECT_TIMEOUT_S),
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": lb_endpoints}] if lb_endpoints else [],
        },
        "typed_extension_protocol_options": protocol(**options),
        **_tls(hosts, **options),
        **more,
    }


def _tls(hosts: Sequence[Endpoint], **options: Json) -> Json:
    """TLS, if the hosts of a cluster speak it: then all of them do."""
    secrets = {host.secrets for host in hosts}
    if len(secrets) > 1:
        raise Invalid(f"{', '.join(sorted(host.host for host in hosts))}: some of them speak TLS and some do not")
    if not any(secrets):
        return {}
    return {
        "connect_timeout": seconds(TLS_CONNECT_TIMEOUT_S),
        "typed_extension_protocol_options": protocol(common={"max_requests_per_connection": TLS_REQUESTS}, **options),
        **to_services(secrets.pop(), sorted({host.name or host.host for host in hosts})),
    }


def discovery(hosts: Sequence[Endpoint]) -> Json:
    """How a cluster finds its hosts: a static list, or DNS as soon as one of them is a name."""
    names = _names(hosts)
    for name in names:
        if not name.endswith("."):
            # Without the dot the resolver tries the search list first: more queries, and perhaps other clusters' names.
            raise Invalid(f"{name!r} is neither an IP address nor a full DNS name; end it with a dot: '{name}.'")
    if not names:
        return {"type": "STATIC"}
    dns = typed(
        "extensions.clusters.dns.v3.DnsCluster",
        dns_refresh_rate=seconds(OFTEN_REFRESH_S if any(host.often for host in hosts) else DNS_REFRESH_S),
        respect_dns_ttl=False,
        dns_lookup_family="V4_PREFERRED",
    )
    return {"cluster_type": extension("envoy.clusters.dns", dns)}


def _names(hosts: Sequence[Endpoint]) -> list[str]:
    return [host.host for host in hosts if not is_address(host.host)]


def protocol(*, common: Json | None = None, **more: Json) -> Json:
    """HTTP/1.1, whose idle connections the gateway closes first. `common` are more options of all versions of HTTP."""
    options = typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        common_http_protocol_options={"idle_timeout": seconds(IDLE_TIMEOUT_S), **(common or {})},
        explicit_http_config={"http_protocol_options": {}},
        **more,
    )
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}


def _breakers(limit: int) -> Json:
    fields = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"circuit_breakers": {"thresholds": [dict.fromkeys(fields, limit)]}}


def _counted() -> Json:
    # Envoy counts no response codes for members of an aggregate, so evidence is read per endpoint.
    return {"track_cluster_stats": {"per_endpoint_stats": True}, **_breakers(UNBOUNDED)}


def _ejection(*, percent: int) -> Json:
    detection = {
        "consecutive_5xx": EJECT_AFTER,
        "interval": "1s",
        "base_ejection_time": seconds(EJECTION_S),
        "max_ejection_time": seconds(MAX_EJECTION_S),
        "max_ejection_percent": percent,
        # With few hosts 10 % is less than one host, and none would ever be ejected.
        "always_eject_one_host": True,
        "enforcing_success_rate": 0,
        # An ejected host failed real requests; passing the readiness check does not prove that it can answer them.
        "successful_active_health_check_uneject_host": False,
    }
    return {"outlier_detection": detection}


def _spill_only_without_hosts(cluster: Json) -> Json:
    """Keep the candidate's share in its cluster until the last host is lost. With Envoy's default factor of 140, one
    ejected host of two would send 30 % of the candidate's share to stable."""
    load = {**cluster["load_assignment"], "policy": {"overprovisioning_factor": 100_000}}
    return {**cluster, "load_assignment": load}


def _aggregate(table: Table, candidate: VersionRef) -> Json:
    name = name_of(Role.AGGREGATE, table, candidate)
    members = [name_of(Role.SPLIT, table, candidate), name_of(Role.FALLBACK, table, table.stable)]
    return {
        "@type": CLUSTER,
        "name": name,
        "alt_stat_name": stat_name(name),
        "connect_timeout": seconds(CONNECT_TIMEOUT_S),
        "lb_policy": "CLUSTER_PROVIDED",
        "typed_extension_protocol_options": protocol(outlier_detection={"error_matcher": _FAILED}),
        # The aggregate's own limit counts, not its members': at the default of 3, users see failures of the candidate.
        "circuit_breakers": {"thresholds": [{"max_retries": UNBOUNDED}]},
        "cluster_type": extension(
            "envoy.clusters.aggregate", typed("extensions.clusters.aggregate.v3.ClusterConfig", clusters=members)
        ),
    }
