"""The telemetry contract: every metric is read by something, every label is bounded, every panel has its unit."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fairlead.contracts.label_bounds import BOUNDS
from fairlead.contracts.telemetry import Declared, Metric
from fairlead.rollout.analysis import prometheus_stats
from monitoring.alerting import alerts
from monitoring.boards import dashboards
from monitoring.panels import Panel, Query, queries
from monitoring.recording import Records
from monitoring.settings import DEFAULT
from prometheus.declared import DECLARED
from prometheus.units import wrong_unit

BOARDS = dashboards(DEFAULT)
RECORDS = Records(DEFAULT)
PANELS = [panel for board in BOARDS for row in board.rows for panel in row.panels]
ROLLOUTS, PEOPLE, LIBRARY = "the engine of rollouts", "people who look for a cause", "prometheus_client emits it"
DRIFT_VIEW = "the console and `fairlead drift`"
READ_ELSEWHERE = {
    "fairlead_model_drift_bin_start": DRIFT_VIEW,
    "fairlead_model_traced_requests_total": PEOPLE,
    "fairlead_model_recorded_requests_total": PEOPLE,
    "fairlead_model_load_seconds": PEOPLE,
    "fairlead_model_batching_enabled": PEOPLE,
    "process_virtual_memory_bytes": LIBRARY,
    "fairlead_model_out_of_memory_total": PEOPLE,
    "fairlead_model_cache_requests_total": PEOPLE,
    "fairlead_model_cache_bytes": PEOPLE,
    "fairlead_model_cache_enabled": PEOPLE,
    "process_start_time_seconds": LIBRARY,
    "process_open_fds": LIBRARY,
    "process_max_fds": LIBRARY,
    "python_info": LIBRARY,
    "python_gc_objects_collected_total": LIBRARY,
    "python_gc_objects_uncollectable_total": LIBRARY,
    "python_gc_collections_total": LIBRARY,
    "envoy_cluster_upstream_rq_completed": ROLLOUTS,
    "envoy_cluster_upstream_rq": ROLLOUTS,
    "envoy_cluster_upstream_rq_retry_success": ROLLOUTS,
    "envoy_cluster_retry_upstream_rq_completed": ROLLOUTS,
    "envoy_cluster_upstream_rq_timeout": ROLLOUTS,
    "envoy_cluster_upstream_cx_connect_fail": ROLLOUTS,
    "envoy_cluster_upstream_cx_destroy_local_with_active_rq": ROLLOUTS,
    "envoy_cluster_upstream_cx_destroy_remote_with_active_rq": ROLLOUTS,
    "envoy_cluster_upstream_cx_none_healthy": ROLLOUTS,
    "envoy_cluster_membership_total": PEOPLE,
    "envoy_cluster_endpoint_rq_timeout": ROLLOUTS,
    "envoy_access_requests": PEOPLE,
}
"""Metrics that no rule and no dashboard reads, and who does."""


def unread(metrics: tuple[Metric, ...]) -> set[str]:
    """The metrics that nothing in monitoring/ reads."""
    expressions = [query.expression for board in BOARDS for _, query in queries(board)]
    expressions += [one.values for board in BOARDS for one in board.variables]
    expressions += [one.expression for one in alerts(RECORDS)] + [one.expression for one in RECORDS.every]
    names = {name for text in expressions for name in re.findall(r"\w+", text)}
    return {
        one.name for one in metrics if not names & {f"{one.name}{end}" for end in ("", "_bucket", "_sum", "_count")}
    }


def unbounded(metric: Metric) -> set[str]:
    """Its labels with neither a list of values nor a bound."""
    return {label for label in metric.labels if label not in metric.values and label not in BOUNDS}


def test_every_metric_is_read_by_a_rule_or_a_dashboard_or_by_somebody_else() -> None:
    assert unread(DECLARED) == READ_ELSEWHERE.keys()


def test_what_rollouts_are_said_to_read_is_what_they_read() -> None:
    read = {*prometheus_stats._NAMES, prometheus_stats.UPTIME}
    assert {name for name, reader in READ_ELSEWHERE.items() if reader == ROLLOUTS} <= read


def test_every_label_has_its_values_or_a_bound() -> None:
    assert {one.name: found for one in DECLARED if (found := unbounded(one))} == {}


def test_every_bound_is_of_a_label_that_is_declared() -> None:
    assert BOUNDS.keys() <= {label for one in DECLARED for label in one.labels}


def test_a_metric_that_nobody_reads_and_a_label_that_clients_choose_are_found() -> None:
    planted = Declared("model service", "fairlead_model_")("paths_total", "counter", "requests", "By path", "path")
    assert unread((planted,)) == {planted.name}
    assert unbounded(planted) == {"path"}


@pytest.mark.parametrize("board", BOARDS, ids=[one.uid for one in BOARDS])
def test_every_panel_has_the_unit_of_what_it_shows(board: object) -> None:
    panels = [panel for one in BOARDS if one is board for row in one.rows for panel in row.panels]
    assert [fault for panel in panels if (fault := wrong_unit(panel))] == []


@pytest.mark.parametrize(("title", "unit"), [("Memory", "s"), ("In the queue, p99", "bytes"), ("Power", "celsius")])
def test_a_panel_with_another_unit_is_found(title: str, unit: str) -> None:
    panel = next(one for one in PANELS if one.title == title)
    assert wrong_unit(replace(panel, unit=unit)).startswith(f"{title}: {unit} for ")


def test_milliseconds_are_not_shown_as_seconds() -> None:
    query = Query("histogram_quantile(0.5, sum by (le) (rate(envoy_cluster_upstream_rq_time_bucket[5m])))")
    assert "milliseconds" in wrong_unit(Panel("planted", "A fault.", (query,), "s"))
