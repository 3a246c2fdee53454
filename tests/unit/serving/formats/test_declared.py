from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving.formats import declared, rows
from fairlead.serving.formats.strict import strict


class Given:
    """A format that returns an object of the test as the artifact."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def read(self, artifact: Path) -> Any:
        return self.value

    def write(self, value: Any, artifact: Path) -> None:
        raise NotImplementedError


def manifest(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> Manifest:
    return Manifest.model_validate(
        {
            "name": "m",
            "version": "1",
            "format": "sklearn",
            "artifact": {"path": "a", "sha256": "0" * 64},
            "inputs": inputs,
            "outputs": outputs,
        }
    )


def answers(stated: Manifest, estimator: Any, given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    model = declared.model_class(stated, Given(estimator))()
    model.load(Path())
    row_type = strict(model.row_type)
    return [answer.model_dump() for answer in rows.answer(model, [row_type.model_validate(one) for one in given])]


@pytest.mark.parametrize(("pixels", "place"), [([0.0, 16.5], 1), ([-0.5, 3.0], 0), ([0.0, 16.0], None)])
def test_bounds_of_an_array_are_those_of_each_of_its_numbers(pixels: list[float], place: int | None) -> None:
    stated = manifest(
        [{"name": "pixels", "datatype": "FP32", "shape": [-1, 2], "minimum": 0, "maximum": 16}],
        [{"name": "label", "datatype": "BYTES"}],
    )
    row_type = strict(declared.model_class(stated, Given(Echo()))().row_type)
    if place is None:
        row_type.model_validate({"pixels": pixels})
        return
    with pytest.raises(ValidationError) as refused:
        row_type.model_validate({"pixels": pixels})
    assert [one["loc"] for one in refused.value.errors()] == [("pixels", place)]


class Echo:
    """Answers every row with the shape of its input, so that a test can check it."""

    def predict(self, batch: Any) -> Any:
        return [str(np.shape(batch))] * len(batch)


X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0], [3.0, 1.0]])
TWO_NUMBERS = [{"name": "a", "datatype": "FP64"}, {"name": "b", "datatype": "FP64"}]


def test_several_numbers_are_passed_to_the_estimator_as_columns() -> None:
    fitted = LinearRegression().fit(X, X @ [2.0, 3.0])
    found = answers(manifest(TWO_NUMBERS, [{"name": "y", "datatype": "FP64"}]), fitted, [{"a": 1.0, "b": 1.0}])
    assert found[0]["y"] == pytest.approx(5.0)


def test_an_output_named_like_a_method_gets_the_result_of_that_method() -> None:
    fitted = LogisticRegression().fit(X, ["no", "no", "yes", "yes"])
    outputs: list[dict[str, Any]] = [
        {"name": "label", "datatype": "BYTES"},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
    ]
    (found,) = answers(manifest(TWO_NUMBERS, outputs), fitted, [{"a": 3.0, "b": 2.0}])
    assert found["label"] == "yes"
    assert sum(found["predict_proba"]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("tensor", "given", "seen"),
    [
        ({"name": "x", "datatype": "FP32", "shape": [-1, 3]}, [[1.0, 2.0, 3.0]] * 2, "(2, 3)"),
        ({"name": "x", "datatype": "FP32", "shape": [-1, 2, 2]}, [[[1.0, 2.0], [3.0, 4.0]]] * 2, "(2, 2, 2)"),
        ({"name": "x", "datatype": "FP32"}, [1.0, 2.0], "(2, 1)"),
        ({"name": "x", "datatype": "BYTES"}, ["a", "b"], "(2,)"),
    ],
)
def test_a_single_input_is_passed_to_the_estimator_in_its_shape(
    tensor: dict[str, Any], given: list[Any], seen: str
) -> None:
    found = answers(manifest([tensor], [{"name": "seen", "datatype": "BYTES"}]), Echo(), [{"x": one} for one in given])
    assert found == [{"seen": seen}] * 2


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        ({"datatype": "INT8"}, 128),
        ({"datatype": "UINT8"}, -1),
        ({"datatype": "INT64"}, 2**63),
        ({"datatype": "INT64"}, 1.5),
        ({"datatype": "BOOL"}, 1),
        ({"datatype": "FP64"}, "1"),
        ({"datatype": "BYTES"}, 1),
        ({"datatype": "FP64", "shape": [-1, 2]}, [1.0]),
        ({"datatype": "FP64", "shape": [-1, 2]}, [1.0, 2.0, 3.0]),
        ({"datatype": "FP64", "shape": [-1, 2]}, 1.0),
    ],
)
def test_a_value_that_the_tensor_cannot_hold_is_invalid(tensor: dict[str, Any], value: Any) -> None:
    stated = manifest([{"name": "x", **tensor}], [{"name": "y", "datatype": "FP64"}])
    with pytest.raises(ValidationError):
        strict(declared.row_type(stated)).model_validate({"x": value})


def test_a_dimension_of_minus_1_accepts_any_length() -> None:
    stated = manifest([{"name": "x", "datatype": "INT64", "shape": [-1, -1]}], [{"name": "y", "datatype": "FP64"}])
    assert strict(declared.row_type(stated)).model_validate({"x": [1, 2, 3]})


@pytest.mark.parametrize("value", [[[1], [2, 3]], [], [[1], []]])
def test_lists_that_are_no_tensor_are_invalid_before_the_model_gets_them(value: Any) -> None:
    stated = manifest([{"name": "x", "datatype": "INT64", "shape": [-1, -1, -1]}], [{"name": "y", "datatype": "FP64"}])
    row_type = strict(declared.row_type(stated))
    assert row_type.model_validate({"x": [[1, 2], [3, 4]]})
    assert row_type.model_validate({"x": [[], []]})
    with pytest.raises(ValidationError):
        row_type.model_validate({"x": value})


@given(st.lists(st.lists(st.lists(st.just(1), max_size=3), min_size=1, max_size=3), min_size=1, max_size=3))
def test_nested_lists_are_accepted_exactly_if_numpy_makes_a_tensor_of_them(value: list[Any]) -> None:
    stated = manifest(
        [{"name": "x", "datatype": "INT64", "shape": [-1, -1, -1, -1]}], [{"name": "y", "datatype": "FP64"}]
    )
    try:
        is_tensor = np.array(value, dtype=np.int64).ndim == 3
    except ValueError:
        is_tensor = False
    try:
        accepted = bool(strict(declared.row_type(stated)).model_validate({"x": value}))
    except ValidationError:
        accepted = False
    assert accepted == is_tensor


def test_descriptions_are_in_the_schema() -> None:
    stated = manifest([{"name": "x", "datatype": "FP64", "description": "cm"}], [{"name": "y", "datatype": "FP64"}])
    assert declared.row_type(stated).model_json_schema()["properties"]["x"]["description"] == "cm"


def test_an_input_of_several_values_beside_others_is_an_error_that_names_it() -> None:
    mixed: list[dict[str, Any]] = [
        {"name": "many", "datatype": "FP64", "shape": [-1, 2]},
        {"name": "x", "datatype": "FP64"},
    ]
    with pytest.raises(errors.Invalid, match="inputs: .* many can only be the one input") as caught:
        declared.model_class(manifest(mixed, [{"name": "y", "datatype": "FP64"}]), Given(None))
    assert "model.py" in (caught.value.hint or "")


def test_an_answer_of_another_type_than_declared_raises_model_failed() -> None:
    stated = manifest([{"name": "x", "datatype": "BYTES"}], [{"name": "y", "datatype": "FP64"}])
    with pytest.raises(errors.ModelFailed, match="returned .* for output 'y'"):
        answers(stated, Echo(), [{"x": "a"}])


def test_an_estimator_that_changes_its_argument_in_place_answers_every_output_from_the_given_row() -> None:
    fitted = make_pipeline(StandardScaler(copy=False), LogisticRegression()).fit(X.copy(), ["no", "no", "yes", "yes"])
    probability = {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]}
    stated = manifest(TWO_NUMBERS, [{"name": "label", "datatype": "BYTES"}, probability])
    (found,) = answers(stated, fitted, [{"a": 3.0, "b": 2.0}])
    (wanted,) = fitted.predict_proba(np.array([[3.0, 2.0]])).tolist()
    assert found["predict_proba"] == wanted


def test_the_types_are_pydantic_models_named_row_and_answer() -> None:
    stated = manifest(TWO_NUMBERS, [{"name": "y", "datatype": "FP64"}])
    kinds = declared.row_type(stated), declared.answer_type(stated)
    assert [kind.__name__ for kind in kinds] == ["Row", "Answer"]
    assert all(issubclass(kind, BaseModel) for kind in kinds)
