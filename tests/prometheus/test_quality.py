"""What the rules of quality record is what numpy computes from the same counts, added over all pods."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.contracts import drift_telemetry, telemetry
from monitoring.promql import series
from monitoring.recording import Records
from monitoring.settings import DEFAULT
from prometheus.cases import IRIS, rising
from prometheus.promtool import passes, queried

STABLE = {**IRIS, "version": "1.0.0"}
QUALITY = Records(DEFAULT).quality
NAMES = ("a", "b", "c", "other")
MINUTES = 60
NEAR = 1e-9
LABELS = ",".join(f'{name}="{value}"' for name, value in STABLE.items())

matrices = st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4), min_size=4, max_size=4)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(matrices, min_size=1, max_size=3))
def test_accuracy_precision_recall_and_f1_are_those_of_numpy(tmp_path: Path, pods: list[list[list[int]]]) -> None:
    inputs = {}
    for pod, matrix in enumerate(pods):
        for row, predicted in enumerate(NAMES):
            for column, truth in enumerate(NAMES):
                is_same = row == column and truth != "other"
                where = {"predicted": predicted, "truth": truth, "correct": "true" if is_same else "false"}
                found = series(drift_telemetry.MODEL_FEEDBACK_OUTCOMES, instance=f"{pod}", **where, **STABLE)
                inputs[found] = rising(matrix[row][column])
    whole = np.sum(pods, axis=0)
    right, said, true = np.diag(whole)[:3], whole.sum(axis=1)[:3], whole.sum(axis=0)[:3]
    asked = [(QUALITY.real.accuracy, "", right.sum(), whole.sum())]
    for place, name in enumerate(NAMES[:3]):
        one = f',class="{name}"'
        asked += [
            (QUALITY.real.precision, one, right[place], said[place]),
            (QUALITY.real.recall, one, right[place], true[place]),
            (QUALITY.real.f1, one, 2 * right[place], said[place] + true[place]),
        ]
    expected = []
    for record, more, part, every in asked:
        labels = f"{{{LABELS}{more}}}"
        found_there = [{"labels": labels, "value": 1}] if every else []
        share = float(part) / float(every) if every else 0
        query = f"abs({record}{labels} - {share!r}) < bool {NEAR}"
        expected.append({"expr": query, "eval_time": f"{MINUTES}m", "exp_samples": found_there})
    passes(tmp_path, queried(inputs, expected))


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=9))
def test_errors_coverage_and_lag_are_those_of_numpy(tmp_path: Path, errors: list[float]) -> None:
    wrong = np.array(errors)
    inputs = {
        series(drift_telemetry.MODEL_FEEDBACK_NUMBERS, **STABLE): f"0+{len(wrong)}x120",
        series(drift_telemetry.MODEL_FEEDBACK_ABSOLUTE_ERRORS, **STABLE): f"0+{np.abs(wrong).sum():.12f}x120",
        series(drift_telemetry.MODEL_FEEDBACK_SQUARED_ERRORS, **STABLE): f"0+{(wrong**2).sum():.12f}x120",
        series(drift_telemetry.MODEL_FEEDBACK_LABELS, outcome="counted", **STABLE): f"0+{len(wrong)}x120",
        series(drift_telemetry.MODEL_FEEDBACK_LABELS, outcome="double", **STABLE): "0+7x120",
        series(telemetry.MODEL_ROWS, outcome="answered", **STABLE): f"0+{4 * len(wrong)}x120",
        series(drift_telemetry.MODEL_FEEDBACK_LAG, "_bucket", le="60", **STABLE): "0+0x120",
        series(drift_telemetry.MODEL_FEEDBACK_LAG, "_bucket", le="600", **STABLE): "0+2x120",
        series(drift_telemetry.MODEL_FEEDBACK_LAG, "_bucket", le="+Inf", **STABLE): "0+2x120",
    }
    asked = (
        (QUALITY.real_errors.mean, np.abs(wrong).mean()),
        (QUALITY.real_errors.root, np.sqrt((wrong**2).mean())),
        (QUALITY.coverage, 0.25),
        (QUALITY.lag, 330.0),
    )
    expected = [
        {
            "expr": f"abs({record} - {float(value)!r}) < bool 1e-6",
            "eval_time": f"{MINUTES}m",
            "exp_samples": [{"labels": f"{{{LABELS}}}", "value": 1}],
        }
        for record, value in asked
    ]
    passes(tmp_path, queried(inputs, expected))
