from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression

from fairlead import errors
from fairlead.serving.formats import rows, writer
from fairlead.serving.formats.folder import load_folder
from support import folders

MANIFEST = {"name": "doubler", "version": "1.0.0", "format": "python", "entry": "model:Doubler"}


def code(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(folders.DOUBLER)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_written_folder_can_be_loaded_and_its_golden_rows_are_the_model_s_own_answers(tmp_path: Path) -> None:
    loaded = writer.write_folder(
        tmp_path / "out", MANIFEST, b"3", code=[code(tmp_path)], golden_inputs=[{"value": 1.5}, {"value": 2}]
    )
    assert [row.expected for row in loaded.golden] == [{"value": 4.5}, {"value": 6.0}]
    assert loaded.start()


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        writer.write_folder(tmp_path / name, MANIFEST, b"3", code=[code(tmp_path)], golden_inputs=[{"value": 1}])
        written.append(files(tmp_path / name))
    assert written[0] == written[1]


def test_an_existing_folder_is_replaced_completely(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    writer.write_folder(tmp_path / "out", MANIFEST, b"3", code=[code(tmp_path)])
    assert "old.txt" not in files(tmp_path / "out")


def test_after_a_failure_the_existing_folder_is_unchanged_and_no_other_file_is_left(tmp_path: Path) -> None:
    (tmp_path / "models" / "out").mkdir(parents=True)
    (tmp_path / "models" / "out" / "old.txt").write_text("old")
    with pytest.raises(errors.ModelFailed):
        writer.write_folder(
            tmp_path / "models" / "out", MANIFEST, b"no number", code=[code(tmp_path)], golden_inputs=[{"value": 1}]
        )
    assert files(tmp_path / "models") == {"out/old.txt": b"old"}


def test_a_fitted_estimator_is_written_with_the_version_of_its_library(tmp_path: Path) -> None:
    manifest = {
        "name": "line",
        "version": "1.0.0",
        "format": "sklearn",
        "inputs": [{"name": "x", "datatype": "FP64"}],
        "outputs": [{"name": "y", "datatype": "FP64"}],
    }
    fitted = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    loaded = writer.write_folder(tmp_path / "line", manifest, fitted, libraries=["scikit-learn"])
    assert list(loaded.manifest.built_with) == ["scikit-learn"]
    (answer,) = rows.answer(load_folder(tmp_path / "line").start(), [loaded.row_type.model_validate({"x": 3.0})])
    assert answer.model_dump() == {"y": pytest.approx(6.0)}


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="'onyx' is unknown; the formats are joblib, pickle, python, sklearn"):
        writer.write_folder(tmp_path / "out", MANIFEST | {"format": "onyx"}, b"")


def test_a_library_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="sklearn-typo is not installed"):
        writer.write_folder(tmp_path / "out", MANIFEST, b"", libraries=["sklearn-typo"])
