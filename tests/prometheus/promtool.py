"""Runs promtool with our rules."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from prometheus.cases import Inputs
from support.prometheus import find_prometheus

FILES = sorted((Path(__file__).resolve().parents[2] / "monitoring" / "rules").glob("*.yaml"))


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it with these arguments."""
    command = [find_prometheus("promtool"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def passes(folder: Path, *tests: dict[str, Any]) -> None:
    """Assert that promtool's tests pass with our rules. Recorded series come before the rules that read them."""
    groups = [group["name"] for file in reversed(FILES) for group in yaml.safe_load(file.read_text())["groups"]]
    files = [str(one) for one in FILES]
    document = {"rule_files": files, "evaluation_interval": "1m", "group_eval_order": groups, "tests": list(tests)}
    (folder / "test.yml").write_text(yaml.safe_dump(document))
    done = promtool("test", "rules", folder / "test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def queried(inputs: Inputs, expected: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A test of what queries find."""
    return {**_given(inputs), "promql_expr_test": list(expected)}


def alerted(inputs: Inputs, at: int, alert: str, expected: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A test of an alert, after so many minutes."""
    rule = {"eval_time": f"{at}m", "alertname": alert, "exp_alerts": list(expected)}
    return {**_given(inputs), "alert_rule_test": [rule]}


def _given(inputs: Inputs) -> dict[str, Any]:
    written = [{"series": name, "values": values} for name, values in inputs.items()]
    return {"interval": "1m", "input_series": written}
