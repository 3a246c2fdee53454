from __future__ import annotations

import itertools
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from fairlead import errors
from fairlead.serving.formats import estimator_input
from unit.serving.formats.test_declared import answers, manifest

NUMBER = {"name": "y", "datatype": "FP64"}
LABEL = {"name": "label", "datatype": "BYTES"}
NAMES = ("age", "income", "years")


def fields(*names: str, datatype: str = "FP64") -> list[dict[str, Any]]:
    return [{"name": name, "datatype": datatype} for name in names]


def named(estimator: Any, *names: str) -> Any:
    """The fitted estimator as if it had been fitted on a DataFrame with these columns."""
    estimator.feature_names_in_ = np.array(names, dtype=object)
    return estimator


def tree() -> Any:
    table = np.array([[20.0, 50_000.0], [80.0, 20_000.0]])  # age, income
    return named(DecisionTreeClassifier(random_state=0).fit(table, ["young", "old"]), "age", "income")


def line() -> Any:
    table = np.random.default_rng(0).normal(size=(20, 3))
    return LinearRegression().fit(table, table @ [1.0, 10.0, 100.0])


@pytest.mark.parametrize("order", list(itertools.permutations(NAMES)), ids="-".join)
def test_inputs_in_any_order_reach_the_estimator_by_name(order: tuple[str, ...]) -> None:
    (found,) = answers(manifest(fields(*order), [NUMBER]), named(line(), *NAMES), [{"age": 1, "income": 2, "years": 3}])
    assert found["y"] == pytest.approx(321.0)


def test_a_person_of_20_is_young_although_the_manifest_names_the_income_first() -> None:
    (found,) = answers(manifest(fields("income", "age"), [LABEL]), tree(), [{"age": 20, "income": 50_000}])
    assert found == {"label": "young"}


def test_columns_by_name_cause_no_warning() -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        answers(manifest(fields("income", "age"), [LABEL]), tree(), [{"age": 20, "income": 50_000}])
    assert warned == []


def test_without_pandas_the_estimator_gets_an_array_in_its_own_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        (found,) = answers(manifest(fields("income", "age"), [LABEL]), tree(), [{"age": 20, "income": 50_000}])
    assert found == {"label": "young"}
    assert warned == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (("age", "incme"), r"fitted on the columns age, income; missing: income; unknown: incme$"),
        (("age",), r"fitted on the columns age, income; missing: income$"),
        (("age", "income", "height"), r"fitted on the columns age, income; unknown: height$"),
    ],
)
def test_inputs_that_are_not_the_columns_are_refused_at_load_by_their_names(
    inputs: tuple[str, ...], message: str
) -> None:
    with pytest.raises(errors.Invalid, match=f"(?m){message}") as caught:
        answers(manifest(fields(*inputs), [LABEL]), tree(), [])
    assert "in any order" in (caught.value.hint or "")


def test_an_estimator_without_names_refuses_another_number_of_inputs_at_load() -> None:
    with pytest.raises(errors.Invalid, match="there are 2, but the estimator was fitted on 3 columns"):
        answers(manifest(fields("a", "b"), [NUMBER]), line(), [])


def test_a_single_tensor_of_another_width_is_refused_at_load() -> None:
    wide = [{"name": "x", "datatype": "FP64", "shape": [-1, 4]}]
    with pytest.raises(errors.Invalid, match="x has 4 values per row, but the estimator was fitted on 3 columns"):
        answers(manifest(wide, [NUMBER]), line(), [])


def test_the_values_of_a_single_tensor_are_the_columns_in_the_estimator_s_order() -> None:
    stated = manifest([{"name": "x", "datatype": "FP64", "shape": [-1, 3]}], [NUMBER])
    (found,) = answers(stated, named(line(), *NAMES), [{"x": [1.0, 2.0, 3.0]}])
    assert found["y"] == pytest.approx(321.0)


def test_a_pipeline_has_the_names_of_its_first_step_that_does_something() -> None:
    pipeline = make_pipeline("passthrough", named(StandardScaler().fit([[0.0, 1.0]]), "a", "b"), LinearRegression())
    assert estimator_input.column_names(pipeline) == ("a", "b")


class Booster:
    """As LightGBM's Booster: the names are the result of a method."""

    def __init__(self, *names: str) -> None:
        self._names = list(names)

    def feature_name(self) -> list[str]:
        return self._names

    def predict(self, batch: Any) -> Any:
        return np.asarray(batch)[:, 0]


def test_a_booster_has_its_columns_by_name() -> None:
    (found,) = answers(manifest(fields("b", "a"), [NUMBER]), Booster("a", "b"), [{"a": 1, "b": 2}])
    assert found == {"y": 1.0}


def test_names_that_a_booster_made_up_for_an_array_are_no_names() -> None:
    stated = manifest(fields("b", "a"), [NUMBER])
    assert answers(stated, Booster("Column_0", "Column_1"), [{"a": 1, "b": 2}]) == [{"y": 2.0}]


def test_columns_that_are_called_as_made_up_ones_are_taken_by_name() -> None:
    stated = manifest(fields("Column_1", "Column_0"), [NUMBER])
    assert answers(stated, Booster("Column_0", "Column_1"), [{"Column_0": 1, "Column_1": 2}]) == [{"y": 1.0}]


@given(st.permutations(NAMES), st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 3), min_size=1, max_size=5))
def test_no_order_of_the_inputs_changes_an_answer(order: list[str], table: list[tuple[float, ...]]) -> None:
    rows = [dict(zip(NAMES, values, strict=True)) for values in table]
    ordered, other = (
        answers(manifest(fields(*names), [NUMBER]), Booster(*NAMES), rows) for names in (NAMES, tuple(order))
    )
    assert ordered == other


class Types:
    """Answers with the types of the columns that it gets."""

    feature_names_in_ = np.array(["a", "b"], dtype=object)

    def predict(self, frame: Any) -> list[str]:
        return [" ".join(map(str, frame.dtypes))] * len(frame)


def test_a_column_has_the_type_of_its_datatype_and_not_of_its_values() -> None:
    stated = manifest(
        [{"name": "b", "datatype": "FP64"}, {"name": "a", "datatype": "INT64"}],
        [{"name": "types", "datatype": "BYTES"}],
    )
    assert answers(stated, Types(), [{"a": 1, "b": 2}]) == [{"types": "int64 float64"}]


def test_an_estimator_fitted_on_a_frame_gets_a_frame_that_selects_columns_by_name() -> None:
    frame = pd.DataFrame({"age": [20.0, 80.0, 40.0], "income": [5.0, 2.0, 3.0]})
    scaled = ColumnTransformer([("scaled", StandardScaler(), ["income"])], remainder="passthrough")
    fitted = make_pipeline(scaled, LinearRegression()).fit(frame, [1.0, 2.0, 3.0])
    row = {"income": 3.0, "age": 40.0}
    (found,) = answers(manifest(fields("income", "age"), [NUMBER]), fitted, [row])
    assert found["y"] == pytest.approx(3.0)


@pytest.mark.parametrize(("pair", "largest"), [(("INT64", "UINT64"), 2**63 - 1), (("UINT64", "UINT8"), 2**64 - 1)])
def test_integers_of_two_datatypes_stay_exact_where_the_estimator_makes_an_array_of_its_frame(
    pair: tuple[str, str], largest: int
) -> None:
    inputs = [{"name": "a", "datatype": pair[0]}, {"name": "b", "datatype": pair[1]}]
    outputs = [{"name": "transform", "datatype": pair[0] if largest < 2**63 else "UINT64", "shape": [-1, 2]}]
    fitted = named(FunctionTransformer(np.asarray), "a", "b")
    (found,) = answers(manifest(inputs, outputs), fitted, [{"a": largest, "b": 3}])
    assert found == {"transform": [largest, 3]}
