from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import OneHotEncoder

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats.estimator_output import by_row
from unit.serving.formats.test_declared import answers, manifest

X = np.random.default_rng(0).normal(size=(40, 3))
SIGNS = np.where(X > 0, 1, 0)
ROWS = [{"x": row} for row in X[:4].tolist()]
INPUT = [{"name": "x", "datatype": "FP64", "shape": [-1, 3]}]


def output(*shape: int, datatype: str = "FP64") -> Tensor:
    return Tensor.model_validate({"name": "y", "datatype": datatype, "shape": (-1, *shape)})


def forest(targets: Any) -> Any:
    return RandomForestClassifier(n_estimators=5, random_state=0).fit(X, targets)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_probabilities_of_several_outputs_are_dealt_by_row_whatever_the_size_of_the_batch(count: int) -> None:
    fitted = forest(SIGNS)
    stated = manifest(INPUT, [{"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3, 2]}])
    found = [answer["predict_proba"] for answer in answers(stated, fitted, ROWS[:count])]
    assert np.array_equal(np.array(found), np.stack(fitted.predict_proba(X[:count]), axis=1))


def test_outputs_with_different_numbers_of_classes_are_refused_with_their_numbers() -> None:
    fitted = forest(np.column_stack([SIGNS[:, 0], SIGNS.sum(axis=1)]))
    stated = manifest(INPUT, [{"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2, 2]}])
    with pytest.raises(errors.ModelFailed, match="with 2, 4 classes; one tensor cannot hold them"):
        answers(stated, fitted, ROWS)


@pytest.mark.parametrize("values", [np.zeros((2, 3)), [[0.0]], 1.0, {"a": 1}, None, iter([1.0] * 3)])
def test_an_answer_whose_first_dimension_is_not_the_rows_fails(values: Any) -> None:
    with pytest.raises(errors.ModelFailed, match="for 3 rows; its first dimension must be the rows"):
        by_row(values, "predict", output(), 3)


@pytest.mark.parametrize(("shape", "declared"), [((3, 2), ()), ((3, 2), (3,)), ((3,), (2,)), ((3, 2, 2), (2,))])
def test_an_answer_of_another_shape_than_declared_fails_and_both_shapes_are_named(
    shape: tuple[int, ...], declared: tuple[int, ...]
) -> None:
    with pytest.raises(errors.ModelFailed, match=r"predict returned an array of the shape \[.*'y' is declared with"):
        by_row(np.zeros(shape), "predict", output(*declared), 3)


@pytest.mark.parametrize(("shape", "declared"), [((3, 1), ()), ((3,), (1,))])
def test_one_number_per_row_may_have_a_dimension_of_1(shape: tuple[int, ...], declared: tuple[int, ...]) -> None:
    assert by_row(np.zeros(shape), "predict", output(*declared), 3).shape == (3, *declared)


def test_a_sparse_matrix_is_read_as_its_rows() -> None:
    given = OneHotEncoder().fit_transform([["a"], ["b"], ["c"]])
    assert np.array_equal(by_row(given, "transform", output(3), 3), np.eye(3))


def test_objects_become_values_of_python() -> None:
    given = np.array([np.int64(1), np.float32(0.5), "a", np.array([1, 2])], dtype=object)
    found = by_row(given, "predict", output(), 4).tolist()
    assert found == [1, 0.5, "a", [1, 2]]
    assert [type(one) for one in found] == [int, float, str, list]


def test_numbers_beside_texts_do_not_become_texts() -> None:
    assert by_row([1, "a"], "predict", output(), 2).tolist() == [1, "a"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["2020-01-01"], dtype="datetime64[ns]"), "values of the type datetime64"),
        (np.array([(1, 2)], dtype="i4,i4"), "which no datatype stands for"),
        (np.ma.array([1.0, 2.0], mask=[False, True]), "masked values"),
        ([[1.0], [1.0, 2.0]], "that is no array"),
    ],
)
def test_values_that_no_datatype_stands_for_fail(values: Any, message: str) -> None:
    with pytest.raises(errors.ModelFailed, match=message):
        by_row(values, "predict", output(), len(values))


def test_a_series_and_a_frame_are_read_as_their_values() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, index=[7, 8])
    assert by_row(frame["a"], "predict", output(), 2).tolist() == [1.0, 2.0]
    assert by_row(frame, "transform", output(2), 2).tolist() == [[1.0, 3.0], [2.0, 4.0]]
