"""Properties of compile() for all tables and endpoints."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

# xds-protos registers every message it defines when it is imported.
from hypothesis import given, settings

from fairlead.contracts.access import Access, key_hash
from fairlead.contracts.gateway import Role, parse_stat, stat_name
from fairlead.errors import Invalid
from fairlead.routing.check import check_snapshot
from fairlead.routing.compile import CompileCache, compile
from fairlead.routing.envoy.access import FILTER, known_clients
from fairlead.routing.envoy.clusters import TLS_REQUESTS
from fairlead.routing.envoy.health_checks import ready_checks
from fairlead.routing.envoy.holding import hold_cluster
from fairlead.routing.envoy.routes import revisions_in
from fairlead.routing.publish.resource_sets import DesiredResources, ResourceSet
from fairlead.routing.references import members, named_by_routes, routes_in
from fairlead.routing.snapshot import AccessLog, Endpoint, Guard, Routed, Snapshot, Tracing
from support.protos import parse
from unit.routing.tables import SETTINGS, V1, V2, Endpoints, fleets, iris

Fleet = tuple[list[Routed], Endpoints]


@given(fleets())
def test_every_snapshot_passes_the_check(fleet: Fleet) -> None:
    routed, endpoints = fleet
    check_snapshot(compile(routed, endpoints, SETTINGS, ["pending"]))


@given(fleets())
def test_equal_inputs_give_equal_bytes_in_any_order(fleet: Fleet) -> None:
    routed, endpoints = fleet
    once = compile(routed, endpoints, SETTINGS)
    again = compile(routed[::-1], {key: hosts[::-1] for key, hosts in [*endpoints.items()][::-1]}, SETTINGS)
    assert json.dumps(dict(once.clusters)) == json.dumps(dict(again.clusters))
    assert json.dumps(dict(once.routes)) == json.dumps(dict(again.routes))
    assert ResourceSet.of(once.routes).digest == ResourceSet.of(json.loads(json.dumps(dict(again.routes)))).digest


@given(fleets(), fleets())
def test_the_cache_does_not_change_the_result(first: Fleet, second: Fleet) -> None:
    cache = CompileCache()
    for fleet in (first, second, first):
        cached, fresh = compile(*fleet, SETTINGS, cache=cache), compile(*fleet, SETTINGS)
        assert cached == fresh
        assert DesiredResources.of(
            cached, DesiredResources.of(compile(*second, SETTINGS, cache=cache))
        ) == DesiredResources.of(fresh)


@given(fleets())
def test_an_unchanged_cluster_is_the_same_object(fleet: Fleet) -> None:
    cache = CompileCache()
    once, again = (compile(*fleet, SETTINGS, cache=cache) for _ in range(2))
    assert all(again.clusters[name] is cluster for name, cluster in once.clusters.items() if name != "control")


@given(fleets())
def test_statistics_names_identify_role_and_version(fleet: Fleet) -> None:
    snapshot = compile(*fleet, SETTINGS)
    for name, cluster in snapshot.clusters.items():
        key = parse_stat(cluster["alt_stat_name"])
        assert cluster["alt_stat_name"] == stat_name(name)
        assert (key is None) == (name == "control")
        if key is not None and key.role is not Role.AGGREGATE:
            assert cluster["metadata"]["filter_metadata"]["fairlead"]["version"] == key.version.replace("_", ".")


@given(fleets())
def test_every_cluster_is_used_by_a_route_or_an_aggregate(fleet: Fleet) -> None:
    snapshot = compile(*fleet, SETTINGS)
    used = named_by_routes(snapshot.routes.values())
    inside = {member for name in used for member in members(snapshot.clusters[name])}
    assert used | inside | {"control"} == snapshot.clusters.keys()


@given(fleets())
def test_the_route_configuration_names_its_revisions(fleet: Fleet) -> None:
    snapshot = compile(*fleet, SETTINGS)
    [routes] = snapshot.routes.values()
    assert revisions_in(json.loads(json.dumps(routes))) == snapshot.revisions


@settings(max_examples=40)
@given(fleets())
def test_envoy_knows_every_field(fleet: Fleet) -> None:
    full = replace(
        SETTINGS,
        cors_origins=("https://a.example",),
        access_log=AccessLog("/tmp/log", 10_000),
        tracing=Tracing(Endpoint("127.0.0.1", 4317), is_grpc=True, follows_callers=True),
    )
    snapshot = compile(*fleet, full)
    for resources in (snapshot.clusters, snapshot.listeners, snapshot.routes):
        for resource in resources.values():
            parse(resource)


def test_a_new_attempt_changes_the_candidates_clusters_and_no_other() -> None:
    endpoints = {("default", "iris", ref): [Endpoint("127.0.0.1", 9001)] for ref in (V1, V2)}
    one, two = (compile([iris(candidate=V2, weight=5, attempt=n)], endpoints, SETTINGS).clusters for n in (1, 2))
    changed = {name for name in one if one[name] != two[name]}
    assert changed == {"split~default~iris~1.1.0", "fallback~default~iris~1.0.0"}


def test_a_weight_change_changes_no_cluster() -> None:
    one, two = (compile([iris(candidate=V2, weight=weight)], {}, SETTINGS).clusters for weight in (0, 10_000))
    assert one == two


def test_a_version_that_becomes_cold_changes_no_cluster() -> None:
    """Envoy rebuilds a cluster that changes, and has no instance for its requests meanwhile."""
    endpoints = {("default", "iris", V1): [Endpoint("iris-1.ml.svc.cluster.local.", 8080, often=True)]}
    one, two = (compile([iris(cold=cold)], endpoints, SETTINGS).clusters for cold in ((), (V1,)))
    assert one == two


def test_stable_comes_first_and_the_candidate_last() -> None:
    [routes] = compile([iris(candidate=V2, weight=2500)], {}, SETTINGS).routes.values()
    split = next(r["route"] for r in routes_in(routes) if r["name"] == "iris:split:predict")
    entries = split["weighted_clusters"]["clusters"]
    assert [(entry["name"], entry["weight"]) for entry in entries] == [
        ("split~default~iris~1.0.0", 7500),
        ("aggregate~default~iris~1.1.0", 2500),
    ]


def test_the_route_timeout_is_the_tables_request_timeout() -> None:
    [routes] = compile([iris(request_timeout_s=600)], {}, SETTINGS).routes.values()
    split = next(r["route"] for r in routes_in(routes) if r["name"] == "iris:split:predict")
    assert (split["timeout"], split["idle_timeout"]) == ("600s", "601s")


@pytest.mark.parametrize(("often", "seconds"), [(False, "5s"), (True, "1s")])
def test_a_dns_name_makes_a_dns_cluster(often: bool, seconds: str) -> None:
    endpoints = {("default", "iris", V1): [Endpoint("iris-1.ml.svc.cluster.local.", 8080, often=often)]}
    cluster = compile([iris()], endpoints, SETTINGS).clusters["split~default~iris~1.0.0"]
    assert cluster["cluster_type"]["name"] == "envoy.clusters.dns"
    assert cluster["cluster_type"]["typed_config"]["dns_refresh_rate"] == seconds
    assert "type" not in cluster


@pytest.mark.parametrize(
    ("hosts", "sni", "named"),
    [
        (["iris-1.ml.svc.cluster.local."], "iris-1.ml.svc.cluster.local", [("DNS", "iris-1.ml.svc.cluster.local")]),
        (["10.0.0.2", "10.0.0.1"], None, [("IP_ADDRESS", "10.0.0.1"), ("IP_ADDRESS", "10.0.0.2")]),
    ],
)
def test_a_service_with_tls_must_have_the_name_or_address_of_its_cluster_in_its_certificate(
    hosts: list[str], sni: str | None, named: list[tuple[str, str]]
) -> None:
    endpoints = {("default", "iris", V1): [Endpoint(host, 8443, "/etc/fairlead") for host in hosts]}
    cluster = compile([iris()], endpoints, SETTINGS).clusters["split~default~iris~1.0.0"]
    context = cluster["transport_socket"]["typed_config"]
    validation = context["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    matchers = validation["match_typed_subject_alt_names"]
    assert [(one["san_type"], one["matcher"]["exact"]) for one in matchers] == named
    assert context.get("sni") == sni


def test_a_connection_for_requests_that_wait_ends_with_tls_too_so_that_certificates_are_verified_again() -> None:
    options = [
        hold_cluster(control)["typed_extension_protocol_options"][
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        ]
        for control in (Endpoint("10.0.0.9", 8081), Endpoint("10.0.0.9", 8443, "/etc/secrets", name="gateways.control"))
    ]
    limits = [one["common_http_protocol_options"].get("max_requests_per_connection") for one in options]
    assert limits == [None, TLS_REQUESTS]
    assert options[0]["retry_policy"] == options[1]["retry_policy"]


def test_a_cluster_of_hosts_with_and_without_tls_is_refused() -> None:
    endpoints = {("default", "iris", V1): [Endpoint("10.0.0.1", 8443, "/etc/fairlead"), Endpoint("10.0.0.2", 8080)]}
    with pytest.raises(Invalid, match=r"10.0.0.1, 10.0.0.2: some of them speak TLS and some do not"):
        compile([iris()], endpoints, SETTINGS)


@pytest.mark.parametrize(("host", "checked"), [("iris-1.ml.svc.cluster.local.", True), ("10.0.0.1", False)])
def test_hosts_with_a_dns_name_get_health_checks_and_addresses_do_not(host: str, checked: bool) -> None:
    endpoints = {("default", "iris", ref): [Endpoint(host, 8080)] for ref in (V1, V2)}
    clusters = compile([iris(candidate=V2, weight=5, pins=(V1, V2))], endpoints, SETTINGS).clusters
    roles = {name: "health_checks" in cluster for name, cluster in clusters.items() if "~" in name}
    members = {"direct~default~iris~1.0.0", "direct~default~iris~1.1.0", "fallback~default~iris~1.0.0"}
    members |= {"split~default~iris~1.0.0", "split~default~iris~1.1.0"}
    assert {name for name, has in roles.items() if has} == (members if checked else set())
    assert roles.keys() == members | {"aggregate~default~iris~1.1.0"}
    ejecting = [one["outlier_detection"] for one in clusters.values() if "outlier_detection" in one]
    assert [one["successful_active_health_check_uneject_host"] for one in ejecting] == [False] * 3


def test_a_yes_is_200_to_399_and_only_404_421_and_503_are_a_no_at_once() -> None:
    [check] = ready_checks("iris-1.ml.svc.cluster.local.")["health_checks"]
    asked = check["http_health_check"]

    def among(ranges: list[dict[str, int]]) -> set[int]:
        return {status for one in ranges for status in range(one["start"], one["end"])}

    yes, unsure = among(asked["expected_statuses"]), among(asked["retriable_statuses"])
    assert yes == set(range(200, 400))
    assert set(range(400, 600)) - unsure == {404, 421, 503}
    assert not yes & unsure


def test_a_dns_name_without_its_last_dot_is_refused() -> None:
    with pytest.raises(Invalid, match=r"end it with a dot: 'iris\.ml\.'"):
        compile([iris()], {("default", "iris", V1): [Endpoint("iris.ml", 8080)]}, SETTINGS)


def test_two_routes_of_one_model_are_refused() -> None:
    other = replace(iris(), route="iris-again")
    with pytest.raises(Invalid, match="two routes have the same model: iris"):
        compile([iris(), other], {}, SETTINGS)


def test_a_model_with_a_table_is_not_pending() -> None:
    assert compile([iris()], {}, SETTINGS, ["iris"]) == compile([iris()], {}, SETTINGS)


def test_a_changed_key_changes_only_the_routes_and_a_changed_number_of_gateways_too() -> None:
    """The listener has the buckets of the limits, and a changed one closes connections."""

    def guarded(key: str, gateways: int) -> Snapshot:
        client = {"keys": [key_hash(key)], "limit": {"rate": 5, "burst": 20}}
        guard = Guard(Access.model_validate({"clients": {"shop": client}}), gateways=gateways)
        return compile([], {}, replace(SETTINGS, guard=guard))

    first = guarded("one", 1)
    for other in (guarded("two", 1), guarded("one", 3)):
        assert other.routes != first.routes
        assert (other.listeners, other.clusters) == (first.listeners, first.clusters)


@pytest.mark.parametrize(
    ("gateways", "burst", "cost", "retry"), [(1, 5, "1", "2"), (3, 5, "3", "6"), (9, 5, "5", "10"), (2, 1, "1", "2")]
)
def test_a_request_costs_as_many_tokens_as_there_are_gateways_but_no_more_than_a_bucket_has(
    gateways: int, burst: int, cost: str, retry: str
) -> None:
    access = Access.model_validate({"clients": {"shop": {"limit": {"rate": 0.5, "burst": burst}}}})
    known = known_clients(Guard(access, gateways=gateways))[FILTER]
    assert known["client:shop"] == {"cost": cost, "retry": retry}


def test_no_key_and_no_hash_is_in_the_listener() -> None:
    guard = Guard(Access.model_validate({"clients": {"shop": {"keys": [key_hash("a key")]}}}), key_hash("own"))
    text = json.dumps(dict(compile([], {}, replace(SETTINGS, guard=guard)).listeners))
    assert key_hash("a key")[7:] not in text
    assert key_hash("own")[7:] not in text
