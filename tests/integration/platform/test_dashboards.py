"""Every query of the dashboards, against a real Prometheus that scrapes a real platform during a rollout under load."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import httpx
import pytest

from fairlead.contracts.control_telemetry import CONTROL_CLIENT_QUOTA, CONTROL_CLIENT_USED, CONTROL_PLANE
from fairlead.contracts.drift_telemetry import MODEL_DRIFT, MODEL_FEEDBACK, MODEL_QUALITY, MODEL_VECTORS
from fairlead.contracts.gateway_telemetry import GATEWAY, GATEWAY_CLIENT_REQUESTS
from fairlead.contracts.telemetry import MODEL_SERVICE, PROCESS, Metric
from monitoring.boards import dashboards
from monitoring.panels import Dashboard, Panel, Query, queries
from monitoring.recording import Records
from monitoring.rule_files import alerting_rules, recording_rules
from monitoring.settings import DEFAULT, Burn, Drift, Quality
from support.drift.doublers import measure
from support.drift.judges import Labelled, judge
from support.drift.requests import Drawn
from support.faults import folders
from support.load.open_loop import OpenLoop
from support.monitoring.outside import PODS, outside_world
from support.monitoring.panel_faults import as_asked, fault_with
from support.platform import Platform, doublers, running_platform, users
from support.prometheus import Prometheus, from_files, running_prometheus

RATE = 20
WINDOW = "8s"
QUICK = replace(
    DEFAULT,
    window=WINDOW,
    burns=(Burn(14.4, "12s", WINDOW, "page"), Burn(1, "20s", "12s", "ticket")),
    least_failures=1,
    drift=Drift(windows=((WINDOW, "2s"), ("12s", "2s")), shown_rows=10),
    quality=Quality(window=WINDOW, every="2s"),
)
RECORDS = Records(QUICK)
CHOICES = {"namespace": ".*", "model": ".*", "version": ".*", "__rate_interval": WINDOW}
"""What Grafana writes for its variables."""
FEATURES = ("value", "kind")
"""What a reader may choose besides: a number and a category. A query may find something for one of them only."""
BOARDS = dashboards(QUICK)


@dataclass(frozen=True)
class Setup:
    platform: Platform
    prometheus: Prometheus


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    """A rollout at 50 %, in which both versions fail as often: no gate decides. A second model has no profile, a third
    one answers with classes, and a fourth one has a shadow."""
    folder = tmp_path_factory.mktemp("dashboards")
    strategy = {"steps": [{"weight": 5000, "minDuration": "10m"}], "minRequests": 0}
    models = {**doublers(folder, "1.0.0", "1.1.0", strategy=strategy), **doublers(folder, "1.0.0", model="plain")}
    models |= judge(folder / "models")
    shadow = {"steps": [{"weight": 10000}], "shadow": {"share": 10000, "minDuration": "10m", "minPairs": 1}}
    models |= doublers(folder, "1.0.0", "1.1.0", model="mirrored", strategy=shadow)
    for version in ("1.0.0", "1.1.0"):
        measure(folder / "models" / "doubler" / version)
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("FAIRLEAD_SERVING_FEEDBACK_BYTES", "65536")
        platform = stack.enter_context(running_platform(folder, models))
        outside = stack.enter_context(outside_world())
        targets = [{**from_files(folder / ".fairlead" / "prometheus-targets.json"), **PODS}, outside.scrape]
        rules = [recording_rules(QUICK), alerting_rules(QUICK)]
        prometheus = stack.enter_context(running_prometheus(folder / "prometheus", targets, interval="2s", rules=rules))
        stack.enter_context(OpenLoop(platform.url, rate=RATE, seconds=120, request=Drawn()))
        for labelled in (Labelled(), Labelled("doubler")):
            stack.enter_context(OpenLoop(platform.url, rate=RATE, seconds=120, request=labelled))
        stack.enter_context(OpenLoop(platform.url, rate=RATE, seconds=120, request=users("mirrored")))
        for model in ("doubler", "mirrored"):
            platform.command("release", model, "1.1.0")
        platform.wait_for("doubler", "the candidate has its share", weight=5000)
        for version in ("1.0.0", "1.1.0"):
            folders.behave(folder / "models" / "doubler" / version, fail=0.1)
        prometheus.wait_for("sum(fairlead_control_counted_bad_requests) > 5", "failures of both versions are counted")
        prometheus.wait_for("fairlead_control_share", "the share is known")
        prometheus.wait_for("fairlead_control_shadow_pairs > 5", "mirrored requests were compared")
        outside.look(prometheus)
        prometheus.wait_for(RECORDS.capacity.of_target, "the autoscalers' versions are known")
        # A group is evaluated each few seconds: what needs two readings may be a turn later than what needs one.
        prometheus.wait_for(RECORDS.capacity.faulty, "two readings of the autoscalers are known")
        prometheus.wait_for(RECORDS.drift[0].candidate_psi, "both versions have counted rows")
        for one in RECORDS.drift:
            prometheus.wait_for(f'{one.psi}{{slice!=""}}', "enough rows of the slice are counted")
        prometheus.wait_for(RECORDS.quality.real.f1, "labels of classes are counted")
        prometheus.wait_for(RECORDS.quality.real_errors.root, "labels of numbers are counted")
        yield Setup(platform, prometheus)


@pytest.mark.parametrize("board", BOARDS, ids=[one.uid for one in BOARDS])
def test_every_query_of_a_dashboard_finds_lines_that_have_the_labels_of_its_legend(
    setup: Setup, board: Dashboard
) -> None:
    assert [fault for panel, query in queries(board) if (fault := fault_of(setup, panel, query))] == []


def fault_of(setup: Setup, panel: Panel, query: Query) -> str:
    """What is wrong with the result of a query; empty if nothing is."""
    choices = ({**CHOICES, "feature": feature} for feature in FEATURES)
    return min((fault_with(setup.prometheus, panel, query, one, seconds=8) for one in choices), key=len)


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        (Query("fairlead_control_wieght"), "nothing found"),
        (Query("sum by (model) (fairlead_control_weight)", "{{model}} {{version}}"), "no label ['version']"),
        (Query("sum by (model (fairlead_control_weight)", "{{model}}"), "no valid query"),
    ],
)
def test_a_misspelt_metric_a_lost_label_and_wrong_syntax_are_faults(setup: Setup, query: Query, fault: str) -> None:
    assert fault in fault_of(setup, Panel("planted", "A fault.", (query,)), query)


def test_no_rule_fails_when_it_is_evaluated(setup: Setup) -> None:
    groups = httpx.get(f"{setup.prometheus.url}/api/v1/rules", timeout=10).json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 30
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []


@pytest.mark.parametrize("board", BOARDS, ids=[one.uid for one in BOARDS])
def test_every_choice_of_a_dashboard_has_values(setup: Setup, board: Dashboard) -> None:
    found = {one.name: _values(setup, one.values) for one in board.variables}
    expected = {
        "namespace": {"default"},
        "model": {"doubler", "plain", "judge", "mirrored"},
        "version": {"1.0.0", "1.1.0"},
        "feature": {"value", "kind", "prediction", "confidence"},
    }
    assert found == {name: expected[name] for name in found}


def _values(setup: Setup, asked: str) -> set[str]:
    parts = re.fullmatch(r"label_values\((.*), (\w+)\)", asked)
    assert parts is not None
    return {
        one["metric"][parts[2]]
        for one in setup.prometheus.query(as_asked(parts[1], {**CHOICES, "feature": FEATURES[0]}))
    }


def test_every_recording_rule_has_series_with_exactly_its_labels(setup: Setup) -> None:
    found = {one.name: setup.prometheus.query(one.name) for one in RECORDS.every}
    # Of all rows the label `slice` is empty, which is the same as none.
    labels = {
        one.name: {tuple(sorted(line["metric"].keys() | ({"slice"} & set(one.labels)))) for line in found[one.name]}
        for one in RECORDS.every
    }
    assert labels == {one.name: {("__name__", *sorted(one.labels))} for one in RECORDS.every}


def test_recorded_requests_are_those_that_were_sent_and_their_versions_are_written_with_dots(setup: Setup) -> None:
    lines = setup.prometheus.query(f'{RECORDS.requests}{{model="doubler"}}')
    found = {one["metric"]["version"]: float(one["value"][1]) for one in lines}
    assert found.keys() == {"1.0.0", "1.1.0"}
    assert sum(found.values()) == pytest.approx(RATE, rel=0.35)
    assert {one["metric"]["namespace"] for one in lines} == {"default"}


def test_failures_of_the_candidate_are_counted_for_it_and_its_users_get_fewer(setup: Setup) -> None:
    tries, users_get = (
        float(setup.prometheus.query(f'avg_over_time({name}{{version="1.1.0"}}[8s])')[0]["value"][1])
        for name in (RECORDS.failed_tries, RECORDS.errors)
    )
    assert tries > users_get


@dataclass
class Exposed:
    """A metric as a page has it: its type, and the labels of each of its series."""

    kind: str
    labels: list[dict[str, str]]


def exposed(text: str) -> dict[str, Exposed]:
    """By name. The library's parser is of no use here: it gives Envoy's counters a `_total` that they do not have."""
    found = {name: Exposed(kind, []) for name, kind in re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE)}
    for name, labels in re.findall(r"^(\w+)(?:{(.*)})? \S+$", text, re.MULTILINE):
        base = name if name in found else re.sub(r"_(bucket|sum|count)$", "", name)
        found[base].labels.append({key: value for key, value in re.findall(r'(\w+)="([^"]*)"', labels) if key != "le"})
    return {name: one for name, one in found.items() if one.labels and not name.endswith("_created")}


def pages(setup: Setup, process: str) -> list[str]:
    every = json.loads((setup.platform.state / "prometheus-targets.json").read_text())
    return [
        httpx.get(f"http://{target}{one['labels'].get('__metrics_path__', '/metrics')}", timeout=10).text
        for one in every
        for target in one["targets"]
        if one["labels"]["job"] == f"fairlead-{process}"
    ]


def wrong(metric: Metric, found: Exposed | None) -> str:
    """What differs between a declared metric and an exposed one; empty if nothing does."""
    if found is None:
        return f"{metric.name} is declared and not emitted"
    if found.kind != metric.kind:
        return f"{metric.name} is a {found.kind}"
    declared, names = set(metric.labels), [one.keys() for one in found.labels]
    # Envoy's clusters that are no version's have fewer labels, and its metrics have no others besides.
    strange = [one for one in names if one != declared and not (metric in GATEWAY and one < declared)]
    if strange or declared not in names:
        return f"{metric.name} has the labels {strange}"
    values = {(key, one[key]) for one in found.labels for key in metric.values if key in one}
    undeclared = {(key, value) for key, value in values if value not in metric.values[key]}
    return f"{metric.name} has {undeclared}" if undeclared else ""


# The clients of this platform have no quotas; tests/unit/control/test_metrics.py has the series of some that do.
OF_THE_CONTROL_PLANE = tuple(one for one in CONTROL_PLANE if one not in (CONTROL_CLIENT_USED, CONTROL_CLIENT_QUOTA))


@pytest.mark.parametrize(
    ("process", "declared"),
    [("model", (*MODEL_SERVICE, *PROCESS)), ("control-plane", (*OF_THE_CONTROL_PLANE, *PROCESS))],
)
def test_a_process_of_ours_emits_exactly_what_is_declared(
    setup: Setup, process: str, declared: tuple[Metric, ...]
) -> None:
    emitted = [exposed(text) for text in pages(setup, process)]
    assert emitted
    for one in emitted:
        assert one.keys() == {metric.name for metric in declared}
        assert [found for metric in declared if (found := wrong(metric, one[metric.name]))] == []


def test_services_emit_exactly_what_is_declared_of_drift_and_of_quality_for_numbers_and_for_classes(
    setup: Setup,
) -> None:
    declared = (*MODEL_DRIFT, *MODEL_VECTORS, *MODEL_QUALITY, *MODEL_FEEDBACK)
    found_there = [exposed(text) for text in pages(setup, "model-drift")]
    emitted = {name: one for found in sorted(found_there, key=len) for name, one in found.items()}
    assert emitted.keys() == {metric.name for metric in declared}
    assert [found for metric in declared if (found := wrong(metric, emitted[metric.name]))] == []


def test_the_gateway_emits_every_metric_that_is_declared_for_it(setup: Setup) -> None:
    (text,) = pages(setup, "gateway")
    emitted = exposed(text)
    # This platform asks for no keys; routing/test_access.py reads what one that does counts.
    emitted[GATEWAY_CLIENT_REQUESTS.name] = Exposed("counter", [dict.fromkeys(GATEWAY_CLIENT_REQUESTS.labels, "")])
    assert [found for metric in GATEWAY if (found := wrong(metric, emitted.get(metric.name)))] == []


def test_every_process_of_the_platform_is_a_target(setup: Setup) -> None:
    up = {one["metric"]["job"].removeprefix("fairlead-"): one["value"][1] for one in setup.prometheus.query("up")}
    assert up.pop("outside") == "1"
    assert up == {"gateway": "1", "control-plane": "1", "model": "1", "model-drift": "1"}
