"""The rule files with the real promtool, and each alert with series for which it fires and others for which not."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitoring import rule_files
from monitoring.alerting import alerts
from monitoring.recording import Records
from monitoring.settings import DEFAULT
from prometheus.alert_cases import CASES
from prometheus.cases import Case, answers, rising
from prometheus.promtool import FILES, alerted, passes, promtool, queried


def test_prometheus_accepts_the_rule_files_and_its_linter_has_no_complaint() -> None:
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", *FILES)
    assert (done.returncode, len(FILES)) == (0, 2), done.stderr


def test_every_alert_has_a_case() -> None:
    assert list(dict.fromkeys(case.alert for case in CASES)) == [one.name for one in alerts(Records(DEFAULT))]


@pytest.mark.parametrize("case", CASES, ids=[f"{at}-{one.alert}" for at, one in enumerate(CASES)])
def test_an_alert_fires_with_its_summary_and_is_silent_where_it_must_be(case: Case, tmp_path: Path) -> None:
    severity = {one.name: one.severity for one in alerts(Records(DEFAULT))}[case.alert]
    annotations = {"summary": case.summary, "runbook_url": rule_files.runbook(case.alert, DEFAULT)}
    firing = {"exp_labels": {**case.labels, "severity": severity}, "exp_annotations": annotations}
    passes(
        tmp_path,
        alerted(case.fires, case.at, case.alert, [firing]),
        alerted(case.silent, case.at, case.alert, []),
    )


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
    passes(tmp_path, queried(answers("2", rising(60), written), [sample]))
