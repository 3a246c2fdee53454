from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
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
    writer.write_folder(tmp_path / "out", MANIFEST, b"3", code=[code(tmp_path)])
    (tmp_path / "out" / "old.txt").write_text("old")
    writer.write_folder(tmp_path / "out", MANIFEST, b"3", code=[code(tmp_path)])
    assert "old.txt" not in files(tmp_path / "out")


@pytest.mark.parametrize(
    "there",
    ["models/1.0.0/fairlead.yaml", "models/notes.txt", "models", "models/fairlead.yaml"],
    ids=["the folder of all versions", "a folder of notes", "a file", "a version of another model"],
)
def test_nothing_but_a_version_of_the_same_model_is_replaced(tmp_path: Path, there: str) -> None:
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_text("name: other\n")
    before = files(tmp_path)
    with pytest.raises(errors.Conflict, match="models .*It is not replaced") as caught:
        writer.write_folder(tmp_path / "models", MANIFEST, b"3")
    assert "models/doubler/1.0.0" in (caught.value.hint or "")
    assert files(tmp_path) == before


def test_an_empty_folder_is_written_into(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert writer.write_folder(tmp_path / "out", MANIFEST, b"3", code=[code(tmp_path)]).start()


def test_what_was_there_is_still_there_if_the_new_folder_cannot_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write_folder(tmp_path / "out", MANIFEST, b"3", code=[code(tmp_path)])
    rename, moved = Path.rename, list[Path]()

    def second_fails(path: Path, target: Path) -> Path:
        moved.append(path)
        if len(moved) == 2:
            raise OSError("the disk is full")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(errors.Invalid, match="the disk is full"):
        writer.write_folder(tmp_path / "out", MANIFEST, b"4", code=[code(tmp_path)])
    assert (tmp_path / "out" / "artifact" / "model.bin").read_bytes() == b"3"


def test_after_a_failure_the_existing_folder_is_unchanged_and_no_other_file_is_left(tmp_path: Path) -> None:
    (tmp_path / "models" / "out").mkdir(parents=True)
    (tmp_path / "models" / "out" / "fairlead.yaml").write_text("name: doubler\n")
    with pytest.raises(errors.ModelFailed):
        writer.write_folder(
            tmp_path / "models" / "out", MANIFEST, b"no number", code=[code(tmp_path)], golden_inputs=[{"value": 1}]
        )
    assert files(tmp_path / "models") == {"out/fairlead.yaml": b"name: doubler\n"}


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
    with pytest.raises(
        errors.Invalid,
        match="'onyx' is unknown; the formats are joblib, keras, keras-h5, lightgbm, onnx, pickle, ",
    ):
        writer.write_folder(tmp_path / "out", MANIFEST | {"format": "onyx"}, b"")


def test_a_library_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="sklearn-typo is not installed"):
        writer.write_folder(tmp_path / "out", MANIFEST, b"", libraries=["sklearn-typo"])


def test_paths_may_be_text(tmp_path: Path) -> None:
    loaded = writer.write_folder(str(tmp_path / "out"), MANIFEST, b"3", code=[str(code(tmp_path))])
    assert files(loaded.folder).keys() >= {"model.py", "fairlead.yaml"}


def test_code_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=r"code: .*nope\.py cannot be read: No such file") as raised:
        writer.write_folder(tmp_path / "out", MANIFEST, b"3", code=[tmp_path / "nope.py"])
    assert "code=[Path('model.py')]" in str(raised.value.hint)


@pytest.mark.parametrize("wrong", [{"verzion": "1"}, {"version": 1.0}, {"name": "A Model"}, {"entry": "Doubler"}])
def test_an_error_of_the_manifest_names_no_folder_that_is_gone(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(errors.Invalid) as raised:
        writer.write_folder(tmp_path / "out", MANIFEST | wrong, b"3", code=[code(tmp_path)])
    assert raised.value.message.startswith("fairlead.yaml: ")


def test_a_class_without_its_file_says_how_the_file_gets_into_the_folder(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid) as raised:
        writer.write_folder(tmp_path / "out", MANIFEST, b"3", golden_inputs=[{"value": 1}])
    assert "the model folder has no model.py" in raised.value.message
    assert "code=[Path('model.py')]" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (np.array([[1.0]]), "golden_inputs is a ndarray"),
        (pd.DataFrame({"value": [1.0]}), "golden_inputs is a DataFrame"),
        ("golden.jsonl", "golden_inputs is a str"),
        ([1.0], "golden_inputs: row 1 is a float"),
        ([{"value": 1.0}, folders], "golden_inputs: row 2 is a module"),
    ],
)
def test_golden_rows_that_are_no_dicts_are_refused_in_words(tmp_path: Path, given: Any, what: str) -> None:
    with pytest.raises(errors.Invalid, match=what) as raised:
        writer.write_folder(tmp_path / "out", MANIFEST, b"3", code=[code(tmp_path)], golden_inputs=given)
    assert "to_dict('records')" in str(raised.value.hint)


def test_expected_answers_that_are_no_dicts_are_refused_in_words(tmp_path: Path) -> None:
    answers: Any = np.array([6.0])
    with pytest.raises(errors.Invalid, match="golden_expected is a ndarray"):
        writer.write_folder(
            tmp_path / "out",
            MANIFEST,
            b"3",
            code=[code(tmp_path)],
            golden_inputs=[{"value": 2}],
            golden_expected=answers,
        )


PINNED = ["lightgbm==4.6.0", "numpy"]


@pytest.mark.parametrize("kind", ["list", "path", "text"])
def test_requirements_are_written_into_the_folder(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "pinned.txt"
    file.write_text("\n".join(PINNED) + "\n")
    given: Any = {"list": PINNED, "path": file, "text": str(file)}[kind]
    for _ in range(2):  # the second time it replaces the folder
        writer.write_folder(tmp_path / "out", MANIFEST, b"3", code=[code(tmp_path)], requirements=given)
        assert (tmp_path / "out" / "requirements.txt").read_text() == file.read_text()


@pytest.mark.parametrize("given", [(), []])
def test_without_requirements_there_is_no_file(tmp_path: Path, given: Any) -> None:
    writer.write_folder(tmp_path / "out", MANIFEST, b"3", code=[code(tmp_path)], requirements=given)
    assert not (tmp_path / "out" / "requirements.txt").exists()


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("lightgbm==4.6.0", "lightgbm==4.6.0 cannot be read: No such file"),
        (["lightgbm", 4.6], "4.6 is no line of requirements.txt"),
        (["lightgbm\nnumpy"], "is no line of requirements.txt"),
        ([""], "'' is no line of requirements.txt"),
        (["numpy", "-r base.txt"], "'-r base.txt' names a second file, which is not copied"),
        (["--requirement=base.txt"], "'--requirement=base.txt' names a second file"),
        (["-c limits.txt"], "'-c limits.txt' names a second file"),
    ],
)
def test_requirements_that_no_image_could_install_are_refused_in_words(tmp_path: Path, given: Any, what: str) -> None:
    with pytest.raises(errors.Invalid, match=re.escape(what)) as raised:
        writer.write_folder(tmp_path / "out", MANIFEST, b"3", code=[code(tmp_path)], requirements=given)
    assert raised.value.message.startswith("requirements: ")
    assert "requirements=['lightgbm==4.6.0']" in str(raised.value.hint)
    assert not (tmp_path / "out").exists()


def told(write: Callable[[], object]) -> tuple[list[str], int]:
    """The lines of the traceback that a notebook shows, and how many of its frames are of our own code."""
    with pytest.raises(errors.FairleadError) as caught:
        write()
    lines = "".join(traceback.format_exception(caught.value)).splitlines()
    ours = str(Path(errors.__file__).parent)
    return lines, sum(line.startswith(f'  File "{ours}') for line in lines)


def test_an_error_in_a_notebook_has_no_frames_of_ours_but_the_function_that_was_called(tmp_path: Path) -> None:
    lines, ours = told(lambda: writer.write_folder(tmp_path / "m", MANIFEST | {"name": "Bad Name"}, b"2"))
    assert ours == 1
    assert "pydantic" not in "".join(lines)
    assert lines[-1].startswith("fairlead.errors.Invalid: fairlead.yaml: name: 'Bad Name' is not a model name")


def test_an_error_of_the_models_own_code_keeps_its_frames(tmp_path: Path) -> None:
    code(tmp_path).write_text(
        folders.DOUBLER.replace("        return [", "        raise ValueError(rows)\n        return [")
    )
    given = {"code": [tmp_path / "model.py"], "golden_inputs": [{"value": 1}]}
    lines, _ = told(lambda: writer.write_folder(tmp_path / "m", MANIFEST, b"2", **given))  # type: ignore[arg-type]
    assert any("in predict" in line for line in lines)
    assert any(line.startswith("ValueError: ") for line in lines)


def test_a_folder_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.Invalid, match=f"cannot be written: .*{tmp_path}/file"):
        writer.write_folder(tmp_path / "file" / "m", MANIFEST, b"2")


def test_what_a_notebook_shows_of_the_written_folder_is_one_line(tmp_path: Path) -> None:
    made = writer.write_folder(
        tmp_path / "m", MANIFEST, b"2", code=[code(tmp_path)], golden_inputs=[{"value": 1}, {"value": 2}]
    )
    assert repr(made) == f"<ModelFolder {tmp_path}/m: doubler 1.0.0, format python, 2 golden rows>"
