"""The rule files with the real promtool, and each alert with series for which it fires and others for which not."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring import rule_files
from monitoring.alerting import alerts
from monitoring.recording import Records
from monitoring.settings import DEFAULT
from prometheus.alert_cases import CASES, Case, Inputs, answers, rising
from support.prometheus import find_prometheus

RULES = Path(__file__).resolve().parents[2] / "monitoring" / "rules"
FILES = sorted(RULES.glob("*.yaml"))


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [find_prometheus("promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_prometheus_accepts_the_rule_files_and_its_linter_has_no_complaint() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *FILES)
    assert (done.returncode, len(FILES)) == (0, 2), done.stderr


def test_every_alert_has_a_case() -> None:
    assert list(dict.fromkeys(case.alert for case in CASES)) == [one.name for one in alerts(Records(DEFAULT))]


@pytest.mark.parametrize("case", CASES, ids=[f"{one.alert}-{one.at}" for one in CASES])
def test_an_alert_fires_with_its_summary_and_is_silent_where_it_must_be(case: Case, tmp_path: Path) -> None:
    severity = {one.name: one.severity for one in alerts(Records(DEFAULT))}[case.alert]
    annotations = {"summary": case.summary, "runbook_url": rule_files.runbook(case.alert, DEFAULT)}
    firing = {"exp_labels": {**case.labels, "severity": severity}, "exp_annotations": annotations}
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(_document(_test(case, case.fires, [firing]), _test(case, case.silent, []))))
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def _document(*tests: dict[str, Any]) -> dict[str, Any]:
    """promtool's document, with our rules. Recorded series come before the rules that read them."""
    groups = [group["name"] for file in reversed(FILES) for group in yaml.safe_load(file.read_text())["groups"]]
    files = [str(one) for one in FILES]
    return {"rule_files": files, "evaluation_interval": "1m", "group_eval_order": groups, "tests": list(tests)}


def _test(case: Case, inputs: Inputs, expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in inputs.items()],
        "alert_rule_test": [{"eval_time": f"{case.at}m", "alertname": case.alert, "exp_alerts": expected}],
    }


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("1_0_0", "1.0.0"),
        ("7", "7"),
        ("2026_01_02-rc_1", "2026.01.02-rc.1"),
        ("1_2_3_4_5_6_7_8_9_10", "1.2.3.4.5.6.7.8.9.10"),
    ],
)
def test_a_recorded_version_is_written_with_its_dots(written: str, shown: str, tmp_path: Path) -> None:
    records = Records(DEFAULT)
    expected = f'{records.requests}{{namespace="shop",model="iris",version="{shown}"}}'
    sample = {"expr": records.requests, "eval_time": "10m", "exp_samples": [{"labels": expected, "value": 1}]}
    series = [{"series": name, "values": values} for name, values in answers("2", rising(60), written).items()]
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(_document({"interval": "1m", "input_series": series, "promql_expr_test": [sample]})))
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr
