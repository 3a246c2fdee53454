from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression

from fairlead.serving.check.checks import CHECKS, check_folder
from fairlead.serving.check.findings import Finding, is_fit
from fairlead.serving.formats.writer import write_folder
from support import folders

COMPLETE: dict[str, Any] = {
    "title": "Doubler",
    "description": "Doubles.",
    "contact": {"name": "Model owners"},
    "license": {"name": "Apache-2.0"},
    "built_with": {"pydantic": "2"},
    "version_skew": "warn",
}


def found(folder: Path, name: str) -> Finding:
    return next(finding for finding in check_folder(folder) if finding.check == name)


def test_a_sound_folder_is_fit(tmp_path: Path) -> None:
    findings = check_folder(folders.make(tmp_path / "m", **COMPLETE))
    assert [finding.check for finding in findings] == [name for name, _, _ in CHECKS]
    assert {finding.check for finding in findings if finding.outcome != "passed"} == {"libraries"}
    assert is_fit(findings)


def test_an_input_with_another_name_than_its_column_is_told(tmp_path: Path) -> None:
    inputs = [{"name": "value", "datatype": "FP64", "shape": [-1], "column": "the value (m)"}]
    outputs = [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    folder, model = tmp_path / "m", LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
    write_folder(folder, {"name": "m", "version": "1", "format": "joblib", "inputs": inputs, "outputs": outputs}, model)
    assert found(folder, "entry").message.endswith("Row -> Answer; value is the column 'the value (m)'")


def test_every_check_comes_after_those_that_it_needs() -> None:
    seen: set[str] = set()
    for name, needs, _ in CHECKS:
        assert set(needs) <= seen
        seen.add(name)


def test_an_artifact_with_another_digest_fails_and_is_not_loaded(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")
    (folder / "artifact.bin").write_bytes(b"3")
    findings = {finding.check: finding for finding in check_folder(folder)}
    assert findings["digest"].outcome == "failed"
    assert (findings["load"].outcome, findings["load"].message) == ("skipped", "needs: digest")
    assert not is_fit(tuple(findings.values()))


def test_without_a_manifest_everything_else_is_skipped(tmp_path: Path) -> None:
    outcomes = [finding.outcome for finding in check_folder(tmp_path)]
    assert outcomes == ["failed"] + ["skipped"] * (len(CHECKS) - 1)


def test_every_wrong_field_of_the_manifest_is_reported(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m", batching={"max_rows": 0}, rtol=2)
    message = found(folder, "manifest").message
    assert "batching.max_rows" in message
    assert "rtol" in message


HOLDS = folders.DOUBLER.replace("        return", "        ctypes.PyDLL(None).usleep(300_000)\n        return").replace(
    "import fairlead", "import ctypes\nimport fairlead"
)
"""Its predict keeps the interpreter's lock while it waits."""


@pytest.mark.parametrize(
    ("check", "outcome", "change"),
    [
        ("libraries", "failed", {"built_with": {"pydantic": "1.0"}}),
        ("libraries", "warned", {"built_with": {"pydantic": "1.0"}, "version_skew": "warn"}),
        ("libraries", "warned", {}),
        ("entry", "failed", {"entry": "model:Absent"}),
        ("schema", "failed", {"inputs": [{"name": "other", "datatype": "FP64"}]}),
        ("schema", "passed", {"inputs": [{"name": "value", "datatype": "FP64"}]}),
        ("schema", "warned", {"code": folders.DOUBLER.replace(', description="any unit"', "")}),
        ("load", "failed", {"artifact": b"no number"}),
        ("golden rows", "warned", {"golden": ()}),
        ("golden rows", "failed", {"golden": [{"input": {"value": 1.5}, "expected": {"value": 3.1}}]}),
        ("golden rows", "failed", {"golden": [{"input": {"value": 1.5}, "expected": {"other": 3.0}}]}),
        ("golden rows", "failed", {"golden": [{"input": {"value": 101}, "expected": {"value": 202.0}}]}),
        ("batching", "passed", {"batching": {"max_rows": 1}}),
        ("batching", "passed", {"golden": ()}),
        ("batching", "warned", {"golden": (), "code": folders.DOUBLER.replace("self.factor *", "self.absent *")}),
        ("batching", "failed", {"code": folders.DOUBLER.replace("self.factor *", "self.factor * len(rows) *")}),
        ("isolation", "passed", {}),
        ("isolation", "passed", {"golden": ()}),
        ("isolation", "passed", {"code": HOLDS, "isolation": "process"}),
        ("isolation", "warned", {"code": HOLDS}),
        ("docs page", "warned", {}),
    ],
)
def test_each_check_has_its_outcomes(tmp_path: Path, check: str, outcome: str, change: dict[str, Any]) -> None:
    finding = found(folders.make(tmp_path / "m", **change), check)
    assert finding.outcome == outcome, finding
    assert finding.message


def test_a_warning_alone_does_not_make_a_folder_unfit(tmp_path: Path) -> None:
    assert is_fit(check_folder(folders.make(tmp_path / "m", golden=())))


def test_a_library_of_requirements_txt_that_is_not_installed_is_a_warning_with_the_command(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m", **COMPLETE)
    (folder / "requirements.txt").write_text("pydantic\nno-such-library\n")
    libraries = found(folder, "libraries")
    assert libraries.outcome == "warned"
    assert libraries.message.startswith("requirements.txt asks for no-such-library, which is not installed; built with")
    assert libraries.hint.splitlines()[0] == f"{sys.executable} -m pip install -r {folder / 'requirements.txt'}"


def test_what_is_not_described_is_named_where_its_author_writes_it(tmp_path: Path) -> None:
    tensors = [{"name": "size", "datatype": "FP64", "shape": [-1]}]
    estimator = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
    manifest = {"name": "m", "version": "1.0.0", "format": "sklearn", "inputs": tensors, "outputs": tensors}
    write_folder(tmp_path / "m", manifest, estimator)
    finding = found(tmp_path / "m", "schema")
    assert finding.message == "fairlead.yaml: inputs do not describe size"
    assert "description: cm" in finding.hint
