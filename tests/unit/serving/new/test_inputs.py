"""What the columns of a sample say of the inputs, with the types that a Parquet file keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder
from sklearn.tree import DecisionTreeRegressor

from fairlead import errors
from fairlead.serving.new import inputs
from fairlead.serving.new.sample import Sample
from support.artifacts.tables import tables


class Length:
    """An estimator that takes any table."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.feature_names_in_ = list(frame)

    def predict(self, table: pd.DataFrame) -> list[float]:
        return [1.0] * len(table)


def inferred(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in inputs.infer(Length(frame), Sample("s", frame))}


def test_every_type_of_a_column_becomes_a_datatype_and_an_unusual_one_is_named() -> None:
    series = {
        "a": pd.Series([1, 2]),
        "b": pd.Series([1.5, None]),
        "c": pd.Series(["x", None]),
        "d": pd.Series([True, False]),
        "e": pd.Series([True, None], dtype="boolean"),
        "f": pd.Series([True, None], dtype=object),
        "g": pd.Series([1, None], dtype="Int32"),
        "h": pd.Series([1, 2], dtype="int16"),
        "i": pd.Series([1, 2], dtype="float32"),
        "j": pd.Series(["x", "y"], dtype="category"),
        "k": pd.Series([3, 1], dtype="category"),
        "l": pd.Series(["x", None], dtype=object),
        "m": pd.Series(["x", None], dtype="string"),
    }
    found = {
        name: (one["datatype"], one.get("column_type"), one.get("choices"))
        for name, one in inferred(pd.DataFrame(series)).items()
    }
    assert found == {
        "a": ("INT64", None, None),
        "b": ("FP64", None, None),
        "c": ("BYTES", None, None),
        "d": ("BOOL", None, None),
        "e": ("BOOL", "boolean", None),
        "f": ("BOOL", "object", None),
        "g": ("INT64", "Int32", None),
        "h": ("INT64", "int16", None),
        "i": ("FP32", "float32", None),
        "j": ("BYTES", "category", ["x", "y"]),
        "k": ("INT64", "category", [1, 3]),
        "l": ("BYTES", "object", None),
        "m": ("BYTES", "string", None),
    }


def test_a_column_of_dates_is_refused_with_the_way_to_serve_it() -> None:
    with pytest.raises(errors.Invalid, match="column when is a datetime64") as caught:
        inferred(pd.DataFrame({"when": pd.to_datetime(["2026-01-01"])}))
    assert "predict_frame" in (caught.value.hint or "")


@pytest.mark.parametrize("name", ["a function of the dtypes", "a function of texts"])
def test_a_sample_with_its_types_serves_an_estimator_that_looks_at_the_types(name: str) -> None:
    fitted = tables()[name]
    found = {one["name"]: one for one in inputs.infer(fitted.estimator, Sample("s", fitted.table))}
    assert found["size"]["column_type"] == "category"
    assert "column_type" not in found["city"]


def test_columns_that_the_estimator_takes_no_numbers_in_are_texts() -> None:
    frame = pd.DataFrame({"town": ["a", "bb"], "road": ["ccc", "d"]})
    lengths = FunctionTransformer(pd.DataFrame.map, kw_args={"func": str.__len__}, feature_names_out="one-to-one")
    found = inputs.infer(make_pipeline(lengths, DecisionTreeRegressor()).fit(frame, [1.0, 2.0]), None)
    assert [one["datatype"] for one in found] == ["BYTES", "BYTES"]


@pytest.mark.parametrize("kind", ["datetime64[ns]", "datetime64[us]"])
def test_a_column_of_dates_that_an_encoder_knows_is_refused_as_one_of_the_sample_is(tmp_path: Path, kind: str) -> None:
    days = pd.DataFrame({"day": pd.to_datetime(["2024-01-02", "2024-01-03"]).astype(kind), "x": [1.0, 2.0]})
    columns = make_column_transformer((OrdinalEncoder(), ["day"]), remainder="passthrough")
    estimator = make_pipeline(columns, DecisionTreeRegressor()).fit(days, [1.0, 2.0])
    file = tmp_path / "days.csv"
    days.to_csv(file, index=False)
    for data in (None, Sample("days.csv", pd.read_csv(file))):
        with pytest.raises(errors.Invalid, match="column day is a column of dates") as caught:
            inputs.infer(estimator, data)
        assert "predict_frame" in (caught.value.hint or "")


def test_the_hint_says_what_to_do_about_an_estimator_that_answers_no_row() -> None:
    frame = pd.DataFrame({"code": [1067, 4109]})
    texts = make_pipeline(FunctionTransformer(_starts), DecisionTreeRegressor())
    texts.fit(frame.astype(str), [1.0, 2.0])
    unfitted = make_pipeline(FunctionTransformer(), DecisionTreeRegressor())
    for estimator, sample, said in (
        (texts, Sample("s", frame), "code as INT64"),
        (unfitted, Sample("s", frame), "Fit the estimator"),
    ):
        with pytest.raises(errors.Invalid, match="answers no row") as caught:
            inputs.infer(estimator, sample)
        assert said in (caught.value.hint or "")


def _starts(table: pd.DataFrame) -> pd.DataFrame:
    return table.apply(lambda column: [len(one) for one in column])
