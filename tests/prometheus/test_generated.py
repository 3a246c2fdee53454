"""What is generated is what is committed, it is complete, and it names nothing that does not exist."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from docs.tables import bare, table_below
from fairlead.contracts import control_telemetry, telemetry
from fairlead.contracts import gateway_telemetry as gateway
from fairlead.contracts.revision import Verdict
from fairlead.errors import Invalid
from fairlead.rollout.analysis import prometheus_stats
from monitoring.__main__ import main, outputs
from monitoring.alerting import alerts
from monitoring.boards import dashboards
from monitoring.panels import WIDTH, Dashboard, Json, queries
from monitoring.promql import series
from monitoring.recording import Records
from monitoring.settings import DEFAULT
from prometheus.declared import DECLARED, OURS
from support.monitoring.drills import DRILLS, NOT_DRILLED

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = ROOT / "monitoring" / "runbooks"
BOARDS = dashboards(DEFAULT)


def test_the_committed_files_are_those_that_are_generated(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main(["--check"]), capsys.readouterr().err) == (0, "")


def test_no_generated_file_is_left_over() -> None:
    folders = [ROOT / "monitoring" / name for name in ("rules", "dashboards", "alertmanager")]
    committed = {path for folder in folders for path in folder.iterdir() if path.suffix != ".tmpl"}
    assert committed <= outputs().keys()


def test_a_dashboard_keeps_its_uid_because_links_name_it() -> None:
    assert [one.uid for one in BOARDS] == [
        f"fairlead-{name}" for name in ("fleet", "model", "drift", "rollout", "capacity", "platform")
    ]


@pytest.mark.parametrize("board", BOARDS, ids=[one.uid for one in BOARDS])
def test_every_panel_has_a_description_and_no_two_overlap(board: Dashboard) -> None:
    document = _document(board)
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= WIDTH
        assert not taken & cells
        assert panel["type"] == "row" or panel["description"].endswith(".")
        taken |= cells
    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])


@pytest.mark.parametrize("board", BOARDS, ids=[one.uid for one in BOARDS])
def test_a_query_uses_only_the_choices_of_its_dashboard(board: Dashboard) -> None:
    known = {one.name for one in board.variables} | {"__rate_interval"}
    assert {name for _, query in queries(board) for name in re.findall(r"\$([a-z_]\w*)", query.expression)} <= known


@pytest.mark.parametrize("board", BOARDS, ids=[one.uid for one in BOARDS])
def test_links_lead_to_all_other_dashboards_and_keep_the_choices_and_the_time(board: Dashboard) -> None:
    links = _document(board)["links"]
    assert [one["url"] for one in links] == [f"/d/{one.uid}" for one in BOARDS if one != board]
    assert [one["title"] for one in links if not (one["includeVars"] and one["keepTime"])] == []


def test_every_dashboard_has_the_choices_of_what_it_shows() -> None:
    assert {one.uid.removeprefix("fairlead-"): [each.name for each in one.variables] for one in BOARDS} == {
        "fleet": ["namespace", "model"],
        "model": ["namespace", "model", "version"],
        "drift": ["namespace", "model", "version", "feature"],
        "rollout": ["namespace", "model"],
        "capacity": ["namespace", "model", "version"],
        "platform": ["namespace"],
    }


@pytest.mark.parametrize("board", BOARDS, ids=[one.uid for one in BOARDS])
def test_the_choices_begin_with_the_data_source_and_with_all_values_where_several_can_be_chosen(
    board: Dashboard,
) -> None:
    source, *others = _document(board)["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    for one, variable in zip(others, board.variables, strict=True):
        assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert (one["multi"], one["includeAll"]) == (variable.several, variable.several)
        assert (one["allValue"], one["current"].get("value")) == (
            (".*", ["$__all"]) if variable.several else (None, None)
        )


@pytest.mark.parametrize("board", BOARDS, ids=[one.uid for one in BOARDS])
def test_a_choice_is_a_pattern_where_several_values_can_be_chosen(board: Dashboard) -> None:
    several = [one.name for one in board.variables if one.several]
    asked = [query.expression for _, query in queries(board)] + [one.values for one in board.variables]
    found = {(name, how) for text in asked for how, name in re.findall(r'(=~?)"\$(\w+)"', text) if name in several}
    assert found <= {(name, "=~") for name in several}


@pytest.mark.parametrize("board", BOARDS, ids=[one.uid for one in BOARDS])
def test_lines_that_are_called_by_their_version_are_those_of_one_model(board: Dashboard) -> None:
    """Versions of two models have the same names."""
    one_model = any(one.name == "model" and not one.several for one in board.variables)
    by_version = {query.legend for _, query in queries(board) if "{{version}}" in query.legend}
    assert [legend for legend in by_version if not (one_model or "{{model}}" in legend)] == []


@pytest.mark.parametrize("board", BOARDS, ids=[one.uid for one in BOARDS])
def test_limits_of_lines_are_drawn(board: Dashboard) -> None:
    found = [one["fieldConfig"]["defaults"] for one in _document(board)["panels"] if one["type"] == "timeseries"]
    styles = [one["custom"]["thresholdsStyle"] for one in found if "thresholds" in one]
    assert styles == [{"mode": "dashed"}] * len(styles)


def _document(board: Dashboard) -> Json:
    found: Json = json.loads(outputs()[ROOT / "monitoring" / "dashboards" / f"{board.uid}.json"])
    return found


def test_every_name_in_a_query_is_declared_or_recorded() -> None:
    records = Records(DEFAULT)
    expressions = [query.expression for board in BOARDS for _, query in queries(board)]
    expressions += [one.expression for one in alerts(records)] + [one.expression for one in records.every]
    named = {
        name
        for text in expressions
        for name in re.findall(r"\b(?:fairlead_(?:model|control)|envoy|kube|keda|DCGM)_\w+", text)
    }
    labels = {label for one in DECLARED for label in one.labels}
    suffixes = ("", "_bucket", "_sum", "_count")
    assert named - labels <= {f"{one.name}{suffix}" for one in DECLARED for suffix in suffixes}
    recorded = {name for text in expressions for name in re.findall(r"\bmodel\w*:\w+:\w+", text)}
    assert recorded <= {one.name for one in records.every}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    names = [one.name for one in alerts(Records(DEFAULT))]
    assert sorted(names) == sorted(page.stem for page in RUNBOOKS.glob("*.md"))


def test_every_alert_is_drilled_or_says_why_not() -> None:
    drilled = {alert for one in DRILLS for alert in one.alerts}
    names = {one.name for one in alerts(Records(DEFAULT))}
    assert drilled | NOT_DRILLED.keys() == names
    assert drilled & NOT_DRILLED.keys() == set()


def test_the_page_of_monitoring_lists_every_alert_and_dashboard() -> None:
    page = ROOT / "docs" / "monitoring.md"
    shown = [[bare(cell) for cell in row[:3]] for row in table_below(page, "Alerts")]
    assert shown == [
        [f"[{one.name}](../monitoring/runbooks/{one.name}.md)", one.severity, one.wait]
        for one in alerts(Records(DEFAULT))
    ]
    titles = [row[0] for row in table_below(page, "Dashboards")]
    assert titles == [one.title.removeprefix("Fairlead / ") for one in BOARDS]
    assert [one.uid for one in BOARDS if f"`/d/{one.uid}`" not in page.read_text()] == []


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_runbook_says_what_is_wrong_and_which_commands_to_run(page: Path) -> None:
    alert = {one.name: one for one in alerts(Records(DEFAULT))}[page.stem]
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n\n**{alert.severity.capitalize()}.** ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Look", "Act"]
    assert re.search(r"^(\$ )?(fairlead|kubectl) ", text, re.MULTILINE)
    assert len(text.splitlines()) <= 45


def test_every_command_of_a_runbook_exists() -> None:
    cli = {path.stem.replace("_", "-") for path in (ROOT / "services/fairlead/cli/commands").glob("*.py")}
    named = {
        found for page in RUNBOOKS.glob("*.md") for found in re.findall(r"^fairlead ([a-z-]+)", page.read_text(), re.M)
    }
    assert len(named) > 4
    assert named <= cli


@pytest.mark.parametrize(
    ("suffix", "matchers", "complaint"),
    [
        ("", {"modle": "iris"}, "has no label 'modle'"),
        ("", {"reason": "full"}, "no reason of fairlead_model_rejected_total is 'full'"),
        ("", {"reason": "~full|spil"}, "no reason of fairlead_model_rejected_total is 'full|spil'"),
        ("_bucket", {}, "is a counter and has no series fairlead_model_rejected_total_bucket"),
    ],
)
def test_a_selector_that_can_match_nothing_is_refused(suffix: str, matchers: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        series(telemetry.MODEL_REJECTED, suffix, **matchers)


def test_the_limit_of_slow_answers_must_be_one_that_the_gateway_counts_at() -> None:
    with pytest.raises(Invalid, match="the nearest boundary is 1024 ms"):
        replace(DEFAULT, slow_ms=1000)


def test_the_contract_has_the_verdicts_and_the_counters_that_rollouts_read() -> None:
    assert tuple(Verdict) == control_telemetry.VERDICTS
    read = {*prometheus_stats._NAMES, prometheus_stats.UPTIME, prometheus_stats._BUCKET.removesuffix("_bucket")}
    assert read <= {one.name for one in gateway.GATEWAY}


def test_every_metric_is_declared_once_and_says_what_it_is() -> None:
    assert len({one.name for one in DECLARED}) == len(DECLARED)
    assert [one.name for one in DECLARED if not (one.help and one.unit)] == []
    assert [one.name for one in OURS if one.name.endswith("_total") != (one.kind == "counter")] == []
    assert [one.name for one in DECLARED if bool(one.buckets) != (one.kind == "histogram")] == []
    assert [one.name for one in DECLARED if not one.values.keys() <= set(one.labels)] == []


def test_the_page_of_drift_lists_every_recorded_series_of_it() -> None:
    shown = {bare(row[0]) for row in table_below(ROOT / "docs" / "drift.md", "Recorded series")}
    recorded = {one.name for one in Records(DEFAULT).every if one.group.startswith("drift-")}
    window = DEFAULT.drift.windows[1][0]
    assert shown == {name for name in recorded if not name.endswith(window)}
