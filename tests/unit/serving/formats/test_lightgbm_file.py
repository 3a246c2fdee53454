"""Files of LightGBM are checked by our own reader before LightGBM gets anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import errors
from fairlead.serving.formats import lightgbm_file
from support import booster_files
from support.booster_files import LIGHTGBM_TEXT


def read(path: Path, text: str | bytes) -> lightgbm_file.File:
    file = path / "model.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return lightgbm_file.read(file)


@pytest.mark.parametrize("name", booster_files.LIGHTGBM)
def test_a_damaged_or_hostile_file_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    made, sentence = booster_files.LIGHTGBM[name]
    with pytest.raises(errors.Invalid) as caught:
        read(tmp_path, made())
    assert sentence in caught.value.message
    assert len(caught.value.message) < 300
    assert caught.value.hint


def test_what_is_written_for_the_library_reads_back_as_itself(tmp_path: Path) -> None:
    written = read(tmp_path, LIGHTGBM_TEXT).text
    assert read(tmp_path, written).text == written


def test_the_lengths_of_the_trees_are_those_of_the_trees_that_are_written(tmp_path: Path) -> None:
    written = read(tmp_path, LIGHTGBM_TEXT).text
    (stated,) = [line for line in written.splitlines() if line.startswith("tree_sizes=")]
    start = written.index("Tree=0")
    assert stated == f"tree_sizes={written.index('end of trees') - start}"


def test_numbers_keep_their_digits(tmp_path: Path) -> None:
    text = LIGHTGBM_TEXT.replace("leaf_value=0.1", "leaf_value=2.0600858535816133")
    assert "leaf_value=2.0600858535816133 -1.5 2.25\n" in read(tmp_path, text).text


def test_a_column_without_missing_values_in_training_may_not_be_null(tmp_path: Path) -> None:
    seen, other = LIGHTGBM_TEXT, LIGHTGBM_TEXT.replace("decision_type=10 1", "decision_type=2 1")
    assert [read(tmp_path, text).described.inputs()[0].nullable for text in (seen, other)] == [True, False]


def test_a_category_is_named_as_in_training(tmp_path: Path) -> None:
    (_, found) = read(tmp_path, LIGHTGBM_TEXT).described.inputs()
    assert (found.datatype, found.choices, found.nullable) == ("BYTES", ("x", "y", "z"), True)


def test_the_parameters_say_which_column_has_categories_that_no_tree_asks_for(tmp_path: Path) -> None:
    text = LIGHTGBM_TEXT.replace("[0:1] 1:0:2", "none 1:0:2").replace("feature: 1]", "feature: 0,1]")
    text = text.replace('[["x", "y", "z"]]', '[["only"], [3, 5.0, 7]]')
    found = read(tmp_path, text).described.features
    assert [one.values for one in found] == [("only",), (3, 5, 7)]


@pytest.mark.parametrize(
    ("objective", "names"),
    [
        ("objective=binary sigmoid:1\n", ["label", "probability"]),
        ("objective=regression sqrt\n", ["prediction"]),
        ("objective=lambdarank\n", ["prediction"]),
        ("", ["prediction"]),
    ],
)
def test_the_outputs_follow_from_the_objective(tmp_path: Path, objective: str, names: list[str]) -> None:
    text = LIGHTGBM_TEXT.replace("objective=binary sigmoid:1\n", objective)
    assert [one.name for one in read(tmp_path, text).described.outputs()] == names


def test_names_that_lightgbm_made_up_are_no_names(tmp_path: Path) -> None:
    (found,) = read(tmp_path, LIGHTGBM_TEXT.replace("a b", "Column_0 Column_1")).described.inputs()
    assert (found.name, found.datatype, found.shape) == ("features", "FP64", (-1, 2))


def test_a_text_with_the_line_ends_of_windows_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, LIGHTGBM_TEXT.replace("\n", "\r\n")) == read(tmp_path, LIGHTGBM_TEXT)
