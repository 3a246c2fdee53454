"""What an autoscaler reads, with the real promtool: the recorded series, and the queries that the chart gives KEDA."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.sample import with_workload
from fairlead.contracts import control_telemetry, telemetry
from monitoring.promql import series
from monitoring.recording import Records
from monitoring.settings import DEFAULT
from prometheus.cases import Inputs, gauge, steady
from prometheus.promtool import FILES, promtool
from support.helm import render

IRIS = {"namespace": "default", "model": "iris", "version": "1.0.0"}
PODS = ("10.0.0.1:8080", "10.0.0.2:8080")
TARGETS = {"inFlight": 4, "requestsPerSecond": 10, "queue": "100ms", "p95": "500ms"}
RECORDS = Records(DEFAULT)
SCALING = {
    "inFlight": RECORDS.scaling_in_flight,
    "requestsPerSecond": RECORDS.scaling_requests,
    "queue": RECORDS.scaling_queue,
    "p95": RECORDS.scaling_latency,
}


def rising(per_second: float, scrapes: int = 40) -> str:
    """A counter, scraped every 15 s."""
    return f"0+{per_second * 15:g}x{scrapes}"


def in_flight(each: str) -> Inputs:
    return {series(telemetry.MODEL_IN_FLIGHT, instance=pod, **IRIS): each for pod in PODS}


def requests(per_second: float) -> Inputs:
    """So many requests a second for each pod."""
    at = {"protocol": "predict", "code": "200", **IRIS}
    return {series(telemetry.MODEL_REQUESTS, instance=pod, **at): rising(per_second) for pod in PODS}


def times(within: float, per_second: float = 10) -> Inputs:
    """Requests that all take between half of `within` seconds and `within`, one of the boundaries, in the queue and in
    all."""
    found = {}
    for le in (*telemetry.SECONDS, float("inf")):
        shown = "+Inf" if le == float("inf") else f"{le:g}"
        counted = rising(per_second if le >= within else 0)
        found[series(telemetry.MODEL_QUEUE_SECONDS, "_bucket", le=shown, instance=PODS[0], **IRIS)] = counted
        at = {"protocol": "predict", "le": shown, "instance": PODS[0], **IRIS}
        found[series(telemetry.MODEL_REQUEST_SECONDS, "_bucket", **at)] = counted
    return found


BUSY = {**in_flight(steady(3)), **requests(12)}
IDLE = {**in_flight(steady(0)), **times(0.5, per_second=0)}
"""Nothing is in flight. The quantile of no request at all is NaN."""
GONE = "3x20 stale"
"""Scraped for five minutes, and then no more."""


@cache
def queries() -> dict[str, str]:
    """The query of each trigger of KEDA, by name."""
    keda = {"kind": "keda", "target": TARGETS, "prometheus": {"serverAddress": "http://prometheus:9090"}}
    one = render("model", with_workload(autoscaling=keda)).of("ScaledObject")[0]
    assert one["metadata"]["labels"]["fairlead.dev/version"] == IRIS["version"]
    return {one["name"]: one["metadata"]["query"] for one in one["spec"]["triggers"] if one["type"] == "prometheus"}


def check(tmp_path: Path, inputs: Inputs, wanted: Mapping[str, float | None], at: str = "8m") -> None:
    """Compares what queries return at this time; None is no series at all."""
    samples = [
        {
            "expr": query,
            "eval_time": at,
            "exp_samples": [] if value is None else [{"labels": _labels(query), "value": value}],
        }
        for query, value in wanted.items()
    ]
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(_document(inputs, samples)))
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def _labels(query: str) -> str:
    """A recorded series keeps its name; what is computed from one has only its labels."""
    labels = ",".join(f'{name}="{value}"' for name, value in IRIS.items())
    return f"{query.partition('{')[0]}{{{labels}}}" if query.startswith("model_version:") else f"{{{labels}}}"


def _document(inputs: Inputs, samples: list[dict[str, Any]]) -> dict[str, Any]:
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in inputs.items()],
        "promql_expr_test": samples,
    }
    groups = [group["name"] for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]
    order = sorted(groups, key=lambda name: name != "fairlead-load")
    return {
        "rule_files": [str(one) for one in FILES],
        "evaluation_interval": "15s",
        "group_eval_order": order,
        "tests": [test],
    }


def test_the_load_of_a_version_is_that_of_all_its_pods(tmp_path: Path) -> None:
    check(tmp_path, BUSY, {queries()["inFlight"]: 6, queries()["requestsPerSecond"]: 24})


def test_requests_in_flight_are_their_mean_over_the_window(tmp_path: Path) -> None:
    """What a scrape happens to see of a fast model is 0 most of the time, and now and then a burst."""
    bursts, query = in_flight("0 8 0 0 " * 10), queries()["inFlight"]
    # Four or five scrapes are in the window: Prometheus 2 counts both of its ends, Prometheus 3 one.
    check(tmp_path, bursts, {f"({query} > bool 3) * ({query} < bool 5)": 1})


def test_a_version_without_requests_reads_zero_and_not_as_a_fault(tmp_path: Path) -> None:
    check(tmp_path, IDLE, dict.fromkeys([*SCALING.values(), *queries().values()], 0))


def test_a_new_version_that_has_answered_nothing_yet_reads_zero(tmp_path: Path) -> None:
    check(tmp_path, in_flight(steady(0)), dict.fromkeys([*SCALING.values(), *queries().values()], 0))


def test_a_version_that_is_not_scraped_any_more_has_no_series_after_the_window(tmp_path: Path) -> None:
    check(tmp_path, in_flight(GONE), dict.fromkeys([*SCALING.values(), *queries().values()], None))


def test_one_pod_that_is_not_scraped_counts_for_the_rest_of_the_window(tmp_path: Path) -> None:
    first, second = in_flight(steady(3)).items()
    inputs = dict([first, (second[0], GONE)])
    check(tmp_path, inputs, {queries()["inFlight"]: 6}, at="5m30s")
    check(tmp_path, inputs, {queries()["inFlight"]: 3}, at="6m30s")


@pytest.mark.parametrize(
    ("within", "queue", "p95"),
    [
        (0.064, 0, 0),  # both are below their targets, 100 ms and 500 ms
        (0.125, 1.2195, 0),  # 95 % of the way from 64 ms to 125 ms
        (0.5, 2, 0),  # 4.9 times the target of the queue, but at most 2
        (1.0, 2, 1.95),
    ],
)
def test_a_time_above_its_target_adds_pods_and_one_below_it_takes_none_away(
    within: float, queue: float, p95: float, tmp_path: Path
) -> None:
    """The autoscaler multiplies the pods with this number, and takes the largest answer of all triggers."""
    check(tmp_path, {**BUSY, **times(within)}, {queries()["queue"]: queue, queries()["p95"]: p95})


def test_what_the_rollout_wants_is_recorded_by_version(tmp_path: Path) -> None:
    inputs = gauge(control_telemetry.CONTROL_WANTED, 3, instance="a", **IRIS)
    labels = ",".join(f'{name}="{value}"' for name, value in IRIS.items())
    check(tmp_path, inputs, {f"{RECORDS.scaling_wanted}{{{labels}}}": 3})
