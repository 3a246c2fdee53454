"""`fairlead new` writes the folder of a booster from its file alone, and from rows of its table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.serving.check.checks import check_folder
from fairlead.serving.check.findings import is_fit
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.new.folder import Written, write

FILES = {
    "xgboost-columns": "model.json",
    "xgboost-classes": "model.ubj",
    "lightgbm-columns": "model.txt",
    "lightgbm-classes": "model.txt",
}


def saved(name: str, file: Path) -> Any:
    """A booster in a file, and the table it was trained on, or None."""
    from support.formats import boosters  # noqa: PLC0415 - its libraries are here only now

    booster, _, frame = boosters.trained(name)
    booster.save_model(file)
    return frame


def new(folder: Path, file: Path, **options: Any) -> Written:
    return write("m", "1.0.0", file, folder / "out", **{"sha256": None, **options})


@pytest.mark.parametrize("name", FILES)
def test_a_folder_from_the_file_alone_is_fit_to_serve(libraries: list[Path], tmp_path: Path, name: str) -> None:
    saved(name, file := tmp_path / FILES[name])
    found = new(tmp_path, file)
    assert len(found.golden.rows) > 1
    assert is_fit(check_folder(found.folder))


@pytest.mark.parametrize("name", ["xgboost-columns", "lightgbm-columns"])
def test_rows_of_the_table_become_golden_rows_with_the_names_of_categories(
    libraries: list[Path], tmp_path: Path, name: str
) -> None:
    frame = saved(name, file := tmp_path / FILES[name])
    frame.assign(member=frame.member.astype(int) if name.startswith("light") else frame.member).to_csv(
        tmp_path / "table.csv", index=False
    )
    found = new(tmp_path, file, data=tmp_path / "table.csv")
    assert (len(found.golden.rows), found.golden.skipped) == (8, 0)
    loaded = load_folder(found.folder)
    assert {row.input["city"] for row in loaded.golden} <= {"Bern", "Oslo", "Rome"}
    assert any(row.input["age"] is None for row in loaded.golden)
    assert "table.csv" in loaded.manifest.inputs[0].description


def test_a_table_without_names_gives_its_columns_in_their_order(libraries: list[Path], tmp_path: Path) -> None:
    saved("xgboost-classes", file := tmp_path / "model.ubj")
    (tmp_path / "table.csv").write_text("\n".join([",".join("abcdefghi"), *[",".join("123456789")] * 3]))
    found = new(tmp_path, file, data=tmp_path / "table.csv")
    assert load_folder(found.folder).golden[0].input == {"features": [float(number) for number in range(1, 10)]}


def test_a_digest_that_was_named_is_checked(libraries: list[Path], tmp_path: Path) -> None:
    saved("lightgbm-classes", file := tmp_path / "model.txt")
    with pytest.raises(errors.ArtifactRejected):
        new(tmp_path, file, sha256="0" * 64)


def test_a_damaged_file_is_refused_and_no_folder_is_written(libraries: list[Path], tmp_path: Path) -> None:
    saved("lightgbm-classes", file := tmp_path / "model.txt")
    file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(errors.Invalid, match="is cut off"):
        new(tmp_path, file)
    assert not (tmp_path / "out").exists()
