"""Envoy's page of counters, parsed and fetched. Any fault means no reading, never half of one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from fairlead.contracts.gateway import ClusterKey, Role
from fairlead.contracts.latency import GRID_MS
from fairlead.rollout.analysis.envoy_stats import EnvoyStats, parse_stats
from unit.rollout.admin_page import AdminPage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = """\
cluster.aggregate~default~iris~1_1_0.upstream_rq_completed: 850
cluster.aggregate~default~iris~1_1_0.upstream_rq_retry_success: 5
cluster.split~default~iris~1_0_0.upstream_rq_5xx: 3
cluster.split~default~iris~1_0_0.upstream_rq_completed: 3352
cluster.split~default~iris~1_0_0.upstream_rq_time: P0(nan,1.0) P50(nan,2.0)
cluster.split~default~iris~1_1_0.endpoint.127.0.0.1_21110.rq_error: 5
cluster.split~default~iris~1_1_0.endpoint.127.0.0.1_21110.rq_success: 517
cluster.split~default~iris~1_1_0.endpoint.127.0.0.1_21110.rq_total: 522
cluster.split~default~iris~1_1_0.endpoint.[__1]_21111.rq_success: 2
cluster.split~default~iris~1_1_0~0a1b2c3d4e.upstream_rq_completed: 7
cluster.control.upstream_rq_completed: 9
server.uptime: 61
"""
STABLE = ClusterKey(Role.SPLIT, "default", "iris", "1_0_0")
CANDIDATE = ClusterKey(Role.SPLIT, "default", "iris", "1_1_0")


class TestParse:
    def test_counters_are_found_by_cluster(self) -> None:
        reading = parse_stats(PAGE, gateway="edge", at=NOW)
        assert reading.clusters[STABLE] == {"upstream_rq_5xx": 3, "upstream_rq_completed": 3352}
        assert reading.clusters[ClusterKey(Role.AGGREGATE, "default", "iris", "1_1_0")]["upstream_rq_completed"] == 850

    def test_endpoints_are_found_by_address(self) -> None:
        reading = parse_stats(PAGE, gateway="edge", at=NOW)
        assert reading.endpoints[CANDIDATE] == {"127.0.0.1_21110": (517, 5), "[__1]_21111": (2, 0)}

    def test_two_of_one_name_are_told_apart(self) -> None:
        reading = parse_stats(PAGE, gateway="edge", at=NOW)
        key = ClusterKey(Role.SPLIT, "default", "iris", "1_1_0", "0a1b2c3d4e")
        assert reading.clusters[key] == {"upstream_rq_completed": 7}

    def test_the_gateways_own_clusters_are_passed_over(self) -> None:
        assert {key.model for key in parse_stats(PAGE, gateway="edge", at=NOW).clusters} == {"iris"}

    def test_the_uptime_is_read(self) -> None:
        assert parse_stats(PAGE, gateway="edge", at=NOW).uptime_s == 61

    def test_a_histogram_on_our_grid_counts_up_to_each_bound_since_the_start(self) -> None:
        counts = [min(38, 3 * at) for at in range(len(GRID_MS))]
        told = " ".join(f"B{bound}(0,{count})" for bound, count in zip(GRID_MS, counts, strict=True))
        page = PAGE.replace("P0(nan,1.0) P50(nan,2.0)", told)
        assert parse_stats(page, gateway="edge", at=NOW).latency == {STABLE: tuple(counts)}

    @pytest.mark.parametrize("told", ["No recorded values", "P0(0,0)", "B0.5(1,1) B1(1,1) B5(1,1)"])
    def test_a_histogram_on_another_grid_is_left_out(self, told: str) -> None:
        page = PAGE.replace("P0(nan,1.0) P50(nan,2.0)", told)
        assert parse_stats(page, gateway="edge", at=NOW).latency == {STABLE: ()}

    @pytest.mark.parametrize("page", ["", PAGE.replace("server.uptime: 61\n", ""), PAGE.replace(": 3352", ": nan")])
    def test_half_a_page_is_no_reading(self, page: str) -> None:
        with pytest.raises(ValueError, match=r"uptime|invalid literal"):
            parse_stats(page, gateway="edge", at=NOW)


@pytest.fixture
def source(admin: AdminPage) -> Iterator[EnvoyStats]:
    admin.page = PAGE
    source = EnvoyStats("127.0.0.1", admin.port, name="e1", clock=lambda: NOW)
    yield source
    source.close()


class TestRead:
    def test_one_page_is_one_reading(self, source: EnvoyStats) -> None:
        (reading,) = source.read()
        assert reading == parse_stats(PAGE, gateway="e1", at=NOW)

    def test_only_what_is_counted_is_asked_for(self, source: EnvoyStats, admin: AdminPage) -> None:
        source.read()
        (pattern,) = parse_qs(urlsplit(admin.asked[0]).query)["filter"]
        assert "upstream_rq_completed" in pattern
        assert "upstream_rq_total" not in pattern

    def test_the_connection_is_kept(self, source: EnvoyStats, admin: AdminPage) -> None:
        for _ in range(3):
            assert len(source.read()) == 1
        assert len(admin.connections) == 1

    @pytest.mark.parametrize("fault", [{"status": 503}, {"page": "half a page"}, {"page": ""}])
    def test_a_fault_is_no_reading_and_the_next_one_is(
        self, source: EnvoyStats, admin: AdminPage, fault: dict[str, object]
    ) -> None:
        for name, value in fault.items():
            setattr(admin, name, value)
        assert source.read() == ()
        admin.status, admin.page = 200, PAGE
        assert len(source.read()) == 1

    def test_a_closed_connection_is_opened_anew(self, source: EnvoyStats, admin: AdminPage) -> None:
        admin.closing = True
        assert [len(source.read()) for _ in range(2)] == [1, 1]

    def test_a_gateway_that_is_not_there_is_no_reading(self) -> None:
        assert EnvoyStats("127.0.0.1", 1, timeout_s=0.1).read() == ()
