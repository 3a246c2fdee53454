from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import OneHotEncoder

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import declared, estimator_columns, estimator_input
from fairlead.serving.formats.strict import strict
from unit.serving.formats.test_declared import answers, manifest
from unit.serving.formats.test_estimator_input import NUMBER, named

COLUMNS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "number": ({"datatype": "FP64"}, [1.5, 2.0]),
    "number or null": ({"datatype": "FP64", "nullable": True}, [None, 2.0]),
    "small number or null": ({"datatype": "FP32", "nullable": True}, [None, 2.0]),
    "whole": ({"datatype": "INT64"}, [1, 2]),
    "whole or null": ({"datatype": "INT64", "nullable": True}, [None, 2]),
    "whole or null, exact": ({"datatype": "INT64", "nullable": True, "column_type": "Int64"}, [None, 2**60]),
    "truth": ({"datatype": "BOOL"}, [True, False]),
    "truth or null": ({"datatype": "BOOL", "nullable": True}, [None, True]),
    "truth or null, objects": ({"datatype": "BOOL", "nullable": True, "column_type": "object"}, [None, True]),
    "text": ({"datatype": "BYTES"}, ["a", "é"]),
    "text or null": ({"datatype": "BYTES", "nullable": True}, [None, "a"]),
    "objects": ({"datatype": "BYTES", "nullable": True, "column_type": "object"}, [None, "a"]),
    "objects with None": (
        {"datatype": "BYTES", "nullable": True, "column_type": "object", "missing": "None"},
        [None, "a"],
    ),
    "category": ({"datatype": "BYTES", "choices": ["a", "b"], "column_type": "category"}, ["a", "b"]),
    "category or null": (
        {"datatype": "BYTES", "choices": ["a", "b"], "column_type": "category", "nullable": True},
        [None, "b"],
    ),
    "category of numbers": ({"datatype": "INT64", "choices": [3, 1], "column_type": "category"}, [1, 3]),
    "narrow": ({"datatype": "INT64", "column_type": "int8"}, [1, 2]),
    "a.b": ({"datatype": "BYTES"}, ["a", "b"]),
}
TYPES = {
    "number": "float64",
    "number or null": "float64",
    "small number or null": "float32",
    "whole": "int64",
    "whole or null": "float64",
    "whole or null, exact": "Int64",
    "truth": "bool",
    "truth or null": "boolean",
    "truth or null, objects": "object",
    "text": str(pd.Series(["text"]).dtype),
    "text or null": str(pd.Series(["text"]).dtype),
    "objects": "object",
    "objects with None": "object",
    "category": "category",
    "category or null": "category",
    "category of numbers": "category",
    "narrow": "int8",
    "a.b": str(pd.Series(["text"]).dtype),
}


def tensors() -> list[dict[str, Any]]:
    return [{"name": f"f{number}", "column": name, **stated} for number, (name, (stated, _)) in enumerate(shown())]


def shown() -> list[tuple[str, tuple[dict[str, Any], list[Any]]]]:
    return list(COLUMNS.items())


class Sees:
    """An estimator that was fitted on a table, and keeps the table that it gets."""

    feature_names_in_ = np.array(list(COLUMNS), dtype=object)

    def predict(self, table: Any) -> Any:
        self.table = table
        return np.zeros(len(table))


def table(rows: Sequence[Sequence[Any]]) -> pd.DataFrame:
    """The table that the estimator gets for rows with these values, in the order of COLUMNS."""
    sees = Sees()
    names = [one["name"] for one in tensors()]
    answers(manifest(tensors(), [NUMBER]), sees, [dict(zip(names, row, strict=True)) for row in rows])
    return sees.table


@given(picks=st.lists(st.tuples(*[st.integers(0, 1)] * len(COLUMNS)), min_size=1, max_size=5))
def test_a_column_has_its_type_whatever_the_values_of_the_batch_are(picks: list[tuple[int, ...]]) -> None:
    values = [both for _, (_, both) in shown()]
    found = table([[both[pick] for both, pick in zip(values, row, strict=True)] for row in picks])
    assert {name: str(dtype) for name, dtype in found.dtypes.items()} == TYPES


def test_a_category_has_all_choices_in_their_order() -> None:
    found = table([[both[0] for _, (_, both) in shown()]])
    assert found["category"].cat.categories.tolist() == ["a", "b"]
    assert found["category of numbers"].cat.categories.tolist() == [3, 1]


def test_a_null_is_what_pandas_has_in_such_a_column() -> None:
    row = table([[both[0] for _, (_, both) in shown()]]).iloc[0]
    assert row["objects with None"] is None
    assert row["whole or null, exact"] is pd.NA
    assert row["truth or null"] is pd.NA
    for name in ("number or null", "text or null", "objects", "category or null", "truth or null, objects"):
        assert isinstance(row[name], float)
        assert np.isnan(row[name])


def test_a_null_that_is_left_out_is_a_null() -> None:
    stated = manifest([{"name": "x", "datatype": "FP64", "nullable": True}], [NUMBER])
    assert strict(declared.row_type(stated)).model_validate_json("{}").model_dump() == {"x": None}


@pytest.mark.parametrize(
    ("stated", "wrong"),
    [
        ({"datatype": "BYTES", "choices": ["a"]}, '"b"'),
        ({"datatype": "BYTES", "choices": ["a"]}, "null"),
        ({"datatype": "INT64", "choices": [1, 2]}, '"1"'),
        ({"datatype": "INT64", "choices": [1, 2]}, "3"),
        ({"datatype": "FP64", "minimum": 0}, "-0.1"),
        ({"datatype": "FP32", "maximum": 2.5}, "2.6"),
        ({"datatype": "INT8", "minimum": -1000, "maximum": 5}, "6"),
        ({"datatype": "INT8", "minimum": -1000, "maximum": 5}, "-129"),
        ({"datatype": "INT64", "column_type": "int8"}, "128"),
        ({"datatype": "INT64", "nullable": True}, str(2**53 + 1)),
        ({"datatype": "FP64"}, "null"),
    ],
)
def test_a_value_that_the_input_does_not_allow_is_invalid(stated: dict[str, Any], wrong: str) -> None:
    row = strict(declared.row_type(manifest([{"name": "x", **stated}], [NUMBER])))
    with pytest.raises(ValidationError):
        row.model_validate_json(f'{{"x": {wrong}}}')


def test_a_text_that_the_encoder_does_not_know_is_model_failed_and_with_choices_it_is_invalid() -> None:
    towns = pd.DataFrame({"town": ["a", "b"], "area": [1.0, 2.0]})
    columns = make_column_transformer((OneHotEncoder(sparse_output=False), ["town"]), remainder="passthrough")
    columns.fit(towns)
    outputs = [{"name": "transform", "datatype": "FP64", "shape": [-1, 3]}]
    town, area = {"name": "town", "datatype": "BYTES"}, {"name": "area", "datatype": "FP64"}
    assert answers(manifest([area, town], outputs), columns, [{"town": "b", "area": 2}]) == [{"transform": [0, 1, 2]}]
    with pytest.raises(errors.ModelFailed, match="unknown categories"):
        answers(manifest([area, town], outputs), columns, [{"town": "c", "area": 2}])
    with pytest.raises(ValidationError, match="'a' or 'b'"):
        answers(manifest([area, town | {"choices": ["a", "b"]}], outputs), columns, [{"town": "c", "area": 2}])


def test_a_column_that_the_estimator_drops_may_be_left_out() -> None:
    towns = pd.DataFrame({"town": ["a", "b"], "area": [1.0, 2.0], "note": ["x", "y"]})
    columns = make_column_transformer(("passthrough", ["area"]), ("drop", ["note"])).fit(towns)
    inputs = [Tensor.model_validate({"name": "area", "datatype": "FP64"})]
    estimator_input.of(columns, inputs)
    with pytest.raises(errors.Invalid, match="missing: area; unknown: town2"):
        estimator_input.of(columns, [Tensor.model_validate({"name": "town2", "datatype": "BYTES"})])


@pytest.mark.parametrize("stated", [{"column": "Town"}, {"column_type": "string"}])
def test_the_column_of_an_estimator_without_names_is_refused(stated: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid, match="fitted without names of columns"):
        estimator_input.of(LinearRegression(), [Tensor.model_validate({"name": "town", "datatype": "BYTES", **stated})])


def test_texts_without_pandas_are_an_error_that_says_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(errors.Unavailable, match="pandas"):
        estimator_input.of(named(LinearRegression(), "x"), [Tensor.model_validate({"name": "x", "datatype": "BYTES"})])


def test_numbers_that_may_be_missing_are_floats_in_an_array() -> None:
    inputs = [{"name": "x", "datatype": "INT64", "nullable": True}, {"name": "y", "datatype": "INT64"}]
    assert estimator_columns.array_type([Tensor.model_validate(one) for one in inputs]) == np.float64
