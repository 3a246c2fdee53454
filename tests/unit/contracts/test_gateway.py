"""Names of clusters and statistics, which routing writes and rollout parses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.gateway import (
    GRID_MS,
    ClusterKey,
    Role,
    check_boundary,
    cluster_name,
    decode_version,
    encode_version,
    identity_part,
    key_of,
    parse_counter,
    parse_stat,
    pin_name,
    stat_name,
)
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.errors import Invalid

words = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
versions = st.from_regex(r"[0-9a-z]([0-9a-z.-]{0,20}[0-9a-z])?", fullmatch=True)
identities = st.none() | st.from_regex(r"[0-9a-f]{10}", fullmatch=True)

ONE = VersionRef(version="1.0.0", identity="a" * 10)
OTHER_ONE = VersionRef(version="1.0.0", identity="b" * 10)
TWO = VersionRef(version="2.0.0", identity="c" * 10)


@given(st.sampled_from(Role), words, words, versions, identities)
def test_every_name_is_parsed_back_from_its_statistic(
    role: Role, namespace: str, model: str, version: str, identity: str | None
) -> None:
    name = stat_name(cluster_name(role, namespace, model, version, identity))
    key = parse_stat(name)
    assert key == ClusterKey(role, namespace, model, encode_version(version), identity)
    assert decode_version(encode_version(version)) == version
    assert "." not in name


@pytest.mark.parametrize("part", ["", "a~b", "a_b", "A", "-a", "a b"])
def test_a_part_that_would_make_the_name_ambiguous_is_refused(part: str) -> None:
    with pytest.raises(Invalid, match="cannot be a part"):
        cluster_name(Role.SPLIT, "default", part, "1.0.0")


@pytest.mark.parametrize("name", ["control", "xds", "split~default~iris", "other~default~iris~1_0_0", "split~~iris~1"])
def test_a_cluster_that_is_not_a_versions_parses_to_none(name: str) -> None:
    assert parse_stat(name) is None


def test_a_counter_parses_to_its_cluster_and_its_own_name() -> None:
    found = parse_counter("cluster.split~default~iris~1_1_0.endpoint.127.0.0.1_21110.rq_success")
    assert found == (ClusterKey(Role.SPLIT, "default", "iris", "1_1_0"), "endpoint.127.0.0.1_21110.rq_success")
    assert parse_counter("cluster.control.upstream_rq_total") is None
    assert parse_counter("http.edge.rds.models.version_text") is None


def test_the_identity_appears_only_where_a_version_string_is_shared() -> None:
    assert identity_part((ONE, TWO), ONE) is None
    assert identity_part((ONE, OTHER_ONE, TWO), ONE) == ONE.identity
    assert identity_part((ONE, OTHER_ONE, TWO), TWO) is None


def test_a_shared_version_string_selects_stable_and_the_other_needs_its_identity() -> None:
    table = Table(model="iris", stable=ONE, candidate=OTHER_ONE, weight=100, pins=(OTHER_ONE, ONE, TWO))
    assert pin_name(table, ONE) == "1.0.0"
    assert pin_name(table, OTHER_ONE) == "1.0.0~bbbbbbbbbb"
    assert pin_name(table, TWO) == "2.0.0"
    assert key_of(Role.SPLIT, table, ONE) == ClusterKey(Role.SPLIT, "default", "iris", "1_0_0", ONE.identity)


def test_the_grid_is_ascending_and_its_boundaries_are_valid() -> None:
    assert list(GRID_MS) == sorted(set(GRID_MS))
    assert [check_boundary(bound) for bound in GRID_MS] == list(GRID_MS)


@pytest.mark.parametrize(("asked", "nearest"), [(100, 96), (0.5, 1), (300, 256), (1e9, 32768), (5, 4)])
def test_a_boundary_outside_the_grid_is_refused_naming_the_nearest(asked: float, nearest: int) -> None:
    with pytest.raises(Invalid, match=f"nearest boundary is {nearest} ms"):
        check_boundary(asked)
