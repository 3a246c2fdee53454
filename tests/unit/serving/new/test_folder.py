"""A folder that was written from a trained file is fit to serve, and answers what the library answers."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.cluster import KMeans
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from fairlead import errors
from fairlead.serving.check.checks import check_folder
from fairlead.serving.check.findings import is_fit
from fairlead.serving.formats.artifact import digest_of
from fairlead.serving.new.folder import IN_EVERY_IMAGE, Written, write
from fairlead.serving.new.sample import GOLDEN_ROWS
from support.artifacts.tables import tables

ARRAY = np.random.default_rng(0).normal(size=(60, 3))
TEXTS = ["good nice", "bad poor", "nice fine", "awful bad"] * 5
SAMPLED = (
    "one hot",
    "ordinal",
    "a text beside numbers",
    "None",
    "extension types",
    "two labels",
    "booleans",
    "missing in every column",
    "dropped columns",
    "names with spaces",
    "an array of objects",
)


def written(tmp_path: Path, estimator: Any, data: Any = None, **options: Any) -> Written:
    file, table = tmp_path / "trained.joblib", tmp_path / "data.csv"
    joblib.dump(estimator, file)
    if data is not None:
        pd.DataFrame(data).to_csv(table, index=False)
        options["data"] = table
    return write("m", "1.0.0", file, tmp_path / "out", sha256=digest_of(file), **options)


def golden(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "golden.jsonl").read_text().splitlines()]


def declared(folder: Path, part: str) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in yaml.safe_load((folder / "fairlead.yaml").read_text())[part]}


def test_the_first_row_of_a_sample_that_is_left_out_says_why(tmp_path: Path) -> None:
    estimator = LinearRegression().fit(ARRAY, ARRAY[:, 0])
    gap = {"a": [1.0, None, 2.0], "b": [1.0, 2.0, 3.0], "c": [1.0, 2.0, None]}
    found = written(tmp_path, estimator, gap).golden
    assert (len(found.rows), found.skipped) == (1, 2)
    assert found.why == "a: Input should be a valid number"


@pytest.mark.parametrize("name", SAMPLED)
def test_the_golden_rows_of_a_sample_have_the_answers_of_the_library(name: str, tmp_path: Path) -> None:
    fitted = tables()[name]
    found = written(tmp_path, fitted.estimator, fitted.table)
    rows = golden(found.folder)
    assert (len(rows), found.golden.skipped) == (GOLDEN_ROWS, 0)
    step = len(fitted.table) // GOLDEN_ROWS
    for number, row in enumerate(rows):
        (wanted,) = fitted.truth(slice(number * step, number * step + 1))
        assert list(row["expected"].values())[: len(wanted)] == wanted


ESTIMATORS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "a table with a sample": lambda: (tables()["one hot"].estimator, tables()["one hot"].table),
    "a table without one": lambda: (tables()["imputed texts"].estimator, None),
    "trees with categories": lambda: (tables()["tree classes, categories from dtype"].estimator, None),
    "two labels": lambda: (tables()["two labels"].estimator, tables()["two labels"].table),
    "two prices": lambda: (tables()["two prices"].estimator, None),
    "names with spaces": lambda: (tables()["names with spaces"].estimator, None),
    "no names": lambda: (LinearRegression().fit(ARRAY, ARRAY @ [1, 2, 3]), None),
    "no names, with a sample": lambda: (LinearRegression().fit(ARRAY, ARRAY), ARRAY),
    "no names, texts": lambda: (tables()["an array of objects"].estimator, None),
    "a text": lambda: (make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(TEXTS, ["yes", "no"] * 10), None),
    "a search": lambda: (
        GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2]}, cv=2).fit(ARRAY, ARRAY[:, 0] > 0),
        None,
    ),
    "clusters": lambda: (KMeans(3, n_init=1, random_state=0).fit(ARRAY), None),
    "a transformer": lambda: (StandardScaler().fit(ARRAY), None),
    "outputs with two and three classes": lambda: (
        RandomForestClassifier(3).fit(ARRAY, np.column_stack([[0, 1] * 30, [0, 1, 2] * 20])),
        None,
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_folder_is_fit_to_serve_as_it_was_written(name: str, tmp_path: Path) -> None:
    found = written(tmp_path, *ESTIMATORS[name]())
    findings = check_folder(found.folder)
    assert is_fit(findings), findings
    assert not [one for one in findings if "not proved" in one.message]


def test_what_the_estimator_answers_becomes_choices_and_nulls(tmp_path: Path) -> None:
    inputs = declared(written(tmp_path, tables()["one hot"].estimator).folder, "inputs")
    assert inputs["city"]["choices"] == ["Bonn", "Kassel", "Ulm"]  # the encoder fails at another town
    assert inputs["city"]["nullable"]
    assert inputs["area"]["nullable"]


def test_an_encoder_that_answers_unknown_texts_gives_no_choices(tmp_path: Path) -> None:
    inputs = declared(written(tmp_path, tables()["target"].estimator).folder, "inputs")
    assert "choices" not in inputs["city"]


def test_classes_become_choices_and_methods_become_outputs(tmp_path: Path) -> None:
    outputs = declared(written(tmp_path, tables()["one hot"].estimator).folder, "outputs")
    assert outputs["label"] == {"name": "label", "datatype": "BYTES", "shape": [-1], "choices": ["cheap", "dear"]}
    assert outputs["predict_proba"]["shape"] == [-1, 2]


def test_a_sample_gives_types_and_ranges(tmp_path: Path) -> None:
    frame = pd.DataFrame({"rooms": [1, 2, 3], "lift": [True, False, True], "area": [20.5, 30, 40]})
    made = DecisionTreeClassifier().fit(frame, [0, 1, 1])
    inputs = declared(written(tmp_path, made, frame).folder, "inputs")
    assert {name: one["datatype"] for name, one in inputs.items()} == {"rooms": "INT64", "lift": "BOOL", "area": "FP64"}
    assert inputs["area"]["description"] == "from 20.5 to 40 in data.csv"
    assert "minimum" not in inputs["area"]  # the next row may be outside of a sample


def test_more_columns_in_the_sample_such_as_the_target_do_no_harm(tmp_path: Path) -> None:
    frame = pd.DataFrame({"area": [20.5, 30, 40], "rent": [1.0, 2.0, 3.0]})
    made = LinearRegression().fit(frame[["area"]], frame["rent"])
    assert list(declared(written(tmp_path, made, frame).folder, "inputs")) == ["area"]


def test_a_pickle_gives_the_same_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps(LinearRegression().fit(ARRAY, ARRAY[:, 0])))
    found = write("m", "1", file, tmp_path / "out", sha256=digest_of(file))
    assert yaml.safe_load((found.folder / "fairlead.yaml").read_text())["format"] == "sklearn"


def test_a_class_of_the_author_comes_from_its_file(tmp_path: Path) -> None:
    code = tmp_path / "scaling_of_a_test.py"
    code.write_text(
        "from sklearn.base import BaseEstimator\n\n\nclass Doubles(BaseEstimator):\n"
        "    n_features_in_ = 1\n\n    def predict(self, x):\n        return x[:, 0] * 2\n"
    )
    file = tmp_path / "model.pkl"
    file.write_bytes(b"\x80\x04cscaling_of_a_test\nDoubles\n)\x81.")
    found = write("m", "1", file, tmp_path / "out", sha256=digest_of(file), code=[code])
    assert is_fit(check_folder(found.folder))


@pytest.mark.parametrize(
    ("estimator", "data", "told"),
    [
        (DummyClassifier(), None, "does not tell how many columns"),
        (DummyClassifier(), ARRAY, "the estimator answers no row"),  # it was not fitted
        (LinearRegression().fit(ARRAY, ARRAY[:, 0]), {"a": [1], "b": [2]}, "has 2 columns, but .* fitted on 3"),
        (LinearRegression().fit(ARRAY, ARRAY[:, 0]), {"a": ["x"], "b": [2], "c": [3]}, "the estimator answers no row"),
    ],
)
def test_what_does_not_fit_together_is_a_sentence_with_a_way_on(
    tmp_path: Path, estimator: Any, data: Any, told: str
) -> None:
    with pytest.raises(errors.Invalid, match=told) as caught:
        written(tmp_path, estimator, data)
    assert caught.value.hint


def test_a_sample_without_the_columns_names_them(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="has no column floor, city"):
        written(tmp_path, tables()["one hot"].estimator, tables()["one hot"].table.drop(columns=["floor", "city"]))


def test_a_wrong_name_and_a_folder_that_exists_are_told_before_the_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="name"):
        write("Not A Name", "1", tmp_path / "none", tmp_path, sha256=None)
    (tmp_path / "m" / "1").mkdir(parents=True)
    with pytest.raises(errors.Conflict, match="exists"):
        write("m", "1", tmp_path / "none", tmp_path, sha256=None)


def test_requirements_name_what_no_image_has(tmp_path: Path) -> None:
    folder = written(tmp_path, tables()["one hot"].estimator).folder
    assert (folder / "requirements.txt").read_text() == f"pandas=={pd.__version__}\n"
    image = Path(__file__).parents[4] / "requirements" / "image-model.txt"
    listed = {line.partition("==")[0] for line in image.read_text().splitlines() if "==" in line}
    assert listed >= IN_EVERY_IMAGE
    assert "pandas" not in listed
