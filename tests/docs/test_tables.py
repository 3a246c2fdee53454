"""The tables of the pages match the code: settings, metrics, errors, gates, actions, exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import yaml
from pydantic.alias_generators import to_camel

from docs.tables import bare, table_below
from fairlead.cli import exit_codes
from fairlead.contracts import telemetry
from fairlead.contracts.action import ActionType
from fairlead.contracts.formats import KINDS, image_list, runs_code
from fairlead.contracts.gates import MEASURED, GateName, GateSpec
from fairlead.contracts.images import Image
from fairlead.contracts.manifest import Labels
from fairlead.rollout.policy import evidence, gates
from fairlead.serving import problems
from fairlead.serving.formats import frames
from fairlead.serving.settings import Settings
from monitoring.recording import Records
from monitoring.settings import DEFAULT

DOCS = Path(__file__).resolve().parents[2] / "docs"
SERVICE = DOCS / "model-service.md"
ROLLOUTS = DOCS / "rollouts.md"
GATES = DOCS / "gates.md"
AUTOSCALING = DOCS / "autoscaling.md"


def test_the_settings_table_has_every_setting_with_its_default() -> None:
    shown = [(bare(name), bare(default)) for name, default, _ in table_below(SERVICE, "Settings")]
    assert shown == [(name, str(field.default)) for name, field in Settings.model_fields.items()]


def test_the_tables_of_images_and_labels_have_every_field_with_its_default() -> None:
    for heading, kind in (("The manifest", Image), ("Labels", Labels)):
        shown = [(bare(name), bare(default)) for name, default, _ in table_below(DOCS / "images.md", heading)]
        fields = kind.model_fields.items()
        assert shown == [(name, "required" if one.is_required() else str(one.default)) for name, one in fields]


def test_the_table_of_column_types_is_that_of_the_module() -> None:
    in_code = [line for line in (frames.__doc__ or "").splitlines() if line.startswith("|")]
    shown = [f"| {' | '.join(row)} |" for row in table_below(DOCS / "model-folder.md", "pandas")]
    assert shown == in_code[2:]


def test_the_table_of_formats_is_that_of_the_code() -> None:
    shown = {bare(row[0]): row[1:] for row in table_below(DOCS / "formats.md", "Formats")}
    assert shown == {
        name: [kind.file, f"`{kind.extra}`, {image_list(name)}", says_code(name)]
        for name, kind in sorted(KINDS.items())
    }


def says_code(name: str) -> str:
    return "your class reads it" if name == "python" else "yes" if runs_code(name) else "no"


def test_the_metrics_table_has_every_metric_with_its_kind_labels_and_help() -> None:
    rows = table_below(SERVICE, "Metrics")
    shown = [(bare(name), kind, re.findall(r"`(\w+)`", labels), text) for name, kind, labels, text in rows]
    first = len(telemetry.MODEL_IDENTITY)
    assert shown == [(one.name, one.kind, list(one.labels[first:]), one.help) for one in telemetry.MODEL_SERVICE]


def test_the_error_table_has_every_error_with_its_status() -> None:
    shown = {(int(status), bare(kind)) for status, kind, _ in table_below(SERVICE, "Errors")}
    ours = {(status, kind) for _, status, kind in problems.STATUSES}
    # The control plane and the command line raise these; a model service never returns them.
    elsewhere = {(409, "conflict"), (403, "refused"), (503, "unavailable")}
    assert ours - elsewhere <= shown


def test_the_gate_table_has_every_gate_with_its_role() -> None:
    shown = {bare(name): role for name, role, *_ in table_below(ROLLOUTS, "Gates")}
    assert shown == {name: gates.DEFAULT_ROLES[name] for name in gates.STATE_GATES}


def test_the_page_of_gates_has_every_gate_that_can_be_named_with_its_role() -> None:
    shown = {bare(name): role for name, *_, role in table_below(GATES, "What each gate asks")}
    asked = {name: gates.DEFAULT_ROLES.get(name, "only when named") for name in get_args(GateName)}
    asked["agreement"] = "guard, with `shadow`"
    asked |= dict.fromkeys(MEASURED, "guard, if it is named") | {
        "quality": "guard, [if it is named](#gates-on-what-services-count)"
    }
    asked |= {name: "guard, [watching](#gates-that-watch)" for name in evidence.WATCHING}
    assert shown == asked


def test_every_test_that_the_page_of_failures_names_exists() -> None:
    named = re.findall(r"`(test_\w+)` \|$", (DOCS / "failures.md").read_text(), re.MULTILINE)
    tests = "".join(path.read_text() for path in DOCS.parent.joinpath("tests").rglob("test_*.py"))
    assert len(named) >= 20
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_the_table_of_faults_of_autoscaling_has_every_test_of_one() -> None:
    tests = DOCS.parent / "tests/e2e/test_autoscaling_faults.py"
    shown = [bare(row[-1]) for row in table_below(AUTOSCALING, "When something fails")]
    assert sorted(shown) == sorted(re.findall(r"^def (test_\w+)\(", tests.read_text(), re.MULTILINE))


def test_the_page_of_gates_has_every_setting_of_a_gate() -> None:
    text = GATES.read_text()
    own = GateSpec.model_fields.keys() - {"name", "role"}
    assert [name for name in own if f"`{to_camel(name)}`" not in text] == []


def test_the_action_table_has_every_action() -> None:
    shown = {word for first, *_ in table_below(ROLLOUTS, "Actions") for word in re.findall(r"[a-z]+", first)}
    assert {kind.value for kind in ActionType} <= shown


def test_the_exit_codes_of_wait_are_those_of_the_code() -> None:
    shown = {int(code): word for code, word, _ in table_below(ROLLOUTS, "Exit codes of `wait`")}
    assert shown == {
        exit_codes.OK: "promoted",
        exit_codes.ROLLED_BACK: "rolled back",
        exit_codes.HELD: "held",
        exit_codes.TIMED_OUT: "timed out",
        exit_codes.DOWN: "down",
    }


def test_table_below_reads_the_last_table_of_a_section(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n\n| x |\n|---|\n| 1 |\n\n| y | z |\n|---|---|\n| `2` | 3 |\n\n# B\n\n| x |\n|---|\n| 4 |\n")
    seen = SimpleNamespace(a=table_below(page, "A"), b=table_below(page, "B"))
    assert seen == SimpleNamespace(a=[["`2`", "3"]], b=[["4"]])


def test_the_page_of_the_platform_file_has_every_field_as_the_contract_says() -> None:
    check = [sys.executable, str(DOCS.parent / "ci" / "platform_page.py"), "--check"]
    assert subprocess.run(check, capture_output=True, text=True, check=False).stderr == ""


def test_the_table_of_autoscaling_targets_has_every_target_with_the_series_that_is_recorded() -> None:
    values = yaml.safe_load((DOCS.parent / "charts/model/values.yaml").read_text())
    records = Records(DEFAULT)
    recorded = [records.scaling_in_flight, records.scaling_requests, records.scaling_queue, records.scaling_latency]
    shown = [(bare(name), bare(series.partition(",")[0])) for name, _, series, _ in table_below(AUTOSCALING, "Targets")]
    assert shown == list(zip(values["workload"]["autoscaling"]["target"], recorded, strict=True))
