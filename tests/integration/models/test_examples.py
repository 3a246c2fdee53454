"""The example models: trained by their own scripts, checked with golden rows, strict inputs and allowed imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from fairlead.contracts import golden
from fairlead.serving.check.checks import check_folder
from fairlead.serving.formats import rows
from fairlead.serving.formats.folder import ModelFolder, load_folder

EXAMPLES = Path(__file__).parents[3] / "services" / "models"
SCRIPTS = sorted(one for one in EXAMPLES.glob("*/train.py") if not one.with_name("environment").exists())
"""Those that need no environment of their own: tests/integration/formats trains the others."""
CLASSIFIERS = ("iris/1.0.0", "iris/1.1.0", "sentiment/1.0.0")
VERSIONS = (*CLASSIFIERS, "churn/1.0.0", "rents/1.0.0")
ALLOWED = {"fairlead", "sklearn", "joblib", "numpy", "pandas", "pydantic", "model"} | sys.stdlib_module_names


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models")
    for script in SCRIPTS:
        train(script, out)
    return out


def train(script: Path, out: Path) -> str:
    command = [sys.executable, str(script), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def load(trained: Path, version: str) -> ModelFolder:
    return load_folder(trained / version)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_check_passes_without_a_warning(trained: Path, version: str) -> None:
    findings = check_folder(trained / version)
    assert [finding for finding in findings if finding.outcome != "passed"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_golden_rows_pass_alone_and_in_one_batch(trained: Path, version: str) -> None:
    loaded = load(trained, version)
    model = loaded.start()
    given = [row.parsed(loaded.row_type) for row in loaded.golden]
    alone = [rows.answer(model, [one])[0] for one in given]
    for row, single, batched in zip(loaded.golden, alone, rows.answer(model, given), strict=True):
        for answer in (single, batched):
            assert golden.compare(row.expected, answer.model_dump(mode="json"), loaded.manifest.rtol) is None


@pytest.mark.parametrize("version", CLASSIFIERS)
def test_golden_rows_have_more_than_one_label(trained: Path, version: str) -> None:
    assert len({row.expected["label"] for row in load(trained, version).golden}) > 1


def test_training_twice_writes_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    for script in SCRIPTS:
        train(script, tmp_path)
    assert contents(tmp_path) == contents(trained)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_flower_s_probabilities_add_up_to_one(trained: Path) -> None:
    for row in load(trained, "iris/1.0.0").golden:
        assert sum(row.expected["probabilities"].values()) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("field", "value"), [("sepal_length", 0), ("sepal_width", 10.5), ("petal_length", "5"), ("petal_width", None)]
)
def test_a_length_out_of_range_or_of_another_type_is_rejected(trained: Path, field: str, value: object) -> None:
    loaded = load(trained, "iris/1.0.0")
    with pytest.raises(ValidationError, match=field):
        loaded.row_type.model_validate(loaded.golden[0].input | {field: value})


@pytest.mark.parametrize("text", ["", " \n", "a" * 2001])
def test_a_text_that_is_blank_or_too_long_is_rejected(trained: Path, text: str) -> None:
    with pytest.raises(ValidationError, match="text"):
        load(trained, "sentiment/1.0.0").row_type.model_validate({"text": text})


def test_golden_flats_lack_values_and_their_rents_are_those_that_the_estimator_gave(trained: Path) -> None:
    golden_rows = load(trained, "rents/1.0.0").golden
    assert {name for row in golden_rows for name, value in row.input.items() if value is None} >= {"built", "heating"}
    assert all(100 < row.expected["rent"] < 3000 for row in golden_rows)


def test_the_answer_of_churn_names_the_version_of_its_training(trained: Path) -> None:
    loaded = load(trained, "churn/1.0.0")
    assert loaded.manifest.format == "pickle"
    assert {row.expected["version"] for row in loaded.golden} == {loaded.manifest.version}
    assert {row.expected["leaves"] for row in loaded.golden} == {False, True}


@pytest.mark.parametrize("count", [5, 7])
def test_a_list_of_features_of_another_length_is_rejected(trained: Path, count: int) -> None:
    with pytest.raises(ValidationError, match="features"):
        load(trained, "churn/1.0.0").row_type.model_validate({"features": [1.0] * count})


def test_plain_praise_is_positive_and_plain_complaint_is_negative(trained: Path) -> None:
    loaded = load(trained, "sentiment/1.0.0")
    texts = ("Great picture, easy to use, I love it.", "It broke after a week and support was terrible.")
    given = [loaded.row_type.model_validate({"text": text}) for text in texts]
    assert [answer.model_dump()["label"] for answer in rows.answer(loaded.start(), given)] == ["positive", "negative"]


@pytest.mark.parametrize(
    "path",
    sorted(path for script in SCRIPTS for path in script.parent.glob("*.py")),
    ids=lambda path: f"{path.parent.name}/{path.name}",
)
def test_an_example_imports_only_fairlead_and_its_library(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= ALLOWED


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/model.py")), ids=lambda path: path.parent.name)
def test_a_model_fits_on_one_screen(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60
