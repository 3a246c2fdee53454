"""A booster without a class: its columns and answers against the manifest, and rows as its array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving.formats import boosters
from fairlead.serving.formats.boosters import Described, Feature

COLUMNS = (
    Feature("height in m"),
    Feature("age", "integer"),
    Feature("member", "truth"),
    Feature("city", "category", ("Bern", "Oslo")),
)


class Echo:
    """A booster that answers with the array that it got, or with given values."""

    held = "float32"

    def __init__(self, described: Described, values: Any = None) -> None:
        self.described, self.answer, self.asked = described, values, np.zeros(0)

    def read(self, artifact: Path) -> Echo:
        return self

    def write(self, value: Any, artifact: Path) -> None:
        raise NotImplementedError

    def values(self, rows: np.ndarray, *, margin: bool) -> np.ndarray:
        self.asked = rows
        return rows[:, 0] if self.answer is None else np.array(self.answer, dtype=np.float32)


def described(
    features: Any = COLUMNS, *, is_named: bool = True, answers: Any = "score", width: int = 1, margins: int = 1
) -> Described:
    return Described(tuple(features), is_named, answers, width, margins, "FP32")


def model(booster: Echo, inputs: Any = None, outputs: Any = None) -> Any:
    own = booster.described
    manifest = Manifest.model_validate(
        {
            "name": "m",
            "version": "1.0.0",
            "format": "xgboost",
            "artifact": {"path": "x", "sha256": "0" * 64},
            "inputs": inputs or [one.model_dump() for one in own.inputs()],
            "outputs": outputs or [one.model_dump() for one in own.outputs()],
        }
    )
    made = boosters.model_class(manifest, booster)()  # type: ignore[arg-type]
    made.load(Path("x"))
    return made


def ask(made: Any, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [one.model_dump() for one in made.predict([type(made).row_type.model_validate(row) for row in rows])]


def tensors(**kinds: str) -> list[dict[str, Any]]:
    return [{"name": name, "datatype": kind} for name, kind in kinds.items()]


def test_a_row_becomes_the_columns_in_the_boosters_order_with_codes_and_nan() -> None:
    booster = Echo(described())
    row = {"city": "Oslo", "member": True, "age": 7, "height_in_m": 1.5}
    ask(model(booster), row, {"height_in_m": 2})
    assert booster.asked.dtype == np.float32
    np.testing.assert_array_equal(booster.asked, [[1.5, 7, 1, 1], [2, np.nan, np.nan, np.nan]])


def test_an_integer_that_float32_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="16777216"):
        ask(model(Echo(described())), {"age": 16777217})


def test_columns_without_names_are_one_list_or_inputs_in_their_order() -> None:
    booster = Echo(described(COLUMNS[:2], is_named=False))
    ask(model(booster), {"features": [1, 2]})
    np.testing.assert_array_equal(booster.asked, [[1, 2]])
    ask(model(booster, tensors(z="FP32", a="FP32")), {"a": 2, "z": 1})
    np.testing.assert_array_equal(booster.asked, [[1, 2]])


@pytest.mark.parametrize(
    ("answers", "values", "expected"),
    [
        ("binary", [0.25, 0.5, 0.75], [("label", [0, 0, 1]), ("probability", [0.25, 0.5, 0.75])]),
        ("label", [0, 1, 2], [("label", [0, 1, 2])]),
        ("score", [0.5, -1, 2], [("prediction", [0.5, -1, 2])]),
        ("classes", [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]],
         [("label", [0, 1, 0]), ("probabilities", [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])]),
    ],
)  # fmt: skip
def test_the_answers_follow_from_what_the_booster_answers(answers: str, values: Any, expected: Any) -> None:
    width = 2 if answers == "classes" else 1
    found = ask(model(Echo(described(answers=answers, width=width, margins=3), values)), {}, {}, {})
    assert found == [
        dict(zip([name for name, _ in expected], row, strict=True))
        for row in zip(*[v for _, v in expected], strict=True)
    ]


def test_labels_have_the_names_of_classes_that_the_manifest_gives() -> None:
    label = {"name": "label", "datatype": "BYTES", "choices": ["no", "yes"]}
    found = ask(model(Echo(described(answers="binary"), [0.1, 0.9]), outputs=[label]), {}, {})
    assert found == [{"label": "no"}, {"label": "yes"}]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"inputs": tensors(age="INT64")}, "missing: height in m, member, city"),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]}, r"x is FP32 \[-1, 3\]"),
        ({"outputs": tensors(y="FP32")}, "unknown: y"),
        ({"outputs": tensors(prediction="FP64")}, "prediction is FP64"),
        ({"outputs": [{"name": "prediction", "datatype": "FP32", "shape": [-1, 2]}]}, r"prediction is FP32 \[-1, 2\]"),
    ],
)
def test_a_manifest_that_does_not_fit_the_booster_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(errors.Invalid, match=sentence):
        model(Echo(described()), **given)


@pytest.mark.parametrize(
    ("name", "changed", "sentence"),
    [
        ("city", {"choices": ["Bern", "Paris"]}, "'Paris' is no category of the booster"),
        ("city", {"choices": []}, "it needs `choices`"),
        ("age", {"datatype": "FP64"}, "age is FP64, and the booster reads FP32"),
        ("age", {"datatype": "BYTES"}, "age is BYTES, and the booster reads FP32"),
    ],
)
def test_an_input_whose_values_are_none_of_its_column_is_refused(
    name: str, changed: dict[str, Any], sentence: str
) -> None:
    own = described()
    inputs = [one.model_dump() | (changed if one.name == name else {}) for one in own.inputs()]
    with pytest.raises(errors.Invalid, match=sentence):
        model(Echo(own), inputs)


def test_a_label_with_other_choices_than_there_are_classes_is_refused() -> None:
    label = {"name": "label", "datatype": "BYTES", "choices": ["only"]}
    with pytest.raises(errors.Invalid, match="label has 1 choices, and the booster has 2 classes"):
        model(Echo(described(answers="binary")), outputs=[label])


def test_columns_whose_names_become_the_same_field_get_different_ones() -> None:
    found = described([Feature("a b"), Feature("a/b"), Feature("copy")]).inputs()
    assert [(one.name, one.column) for one in found] == [("a_b", "a b"), ("a_b_2", "a/b"), ("copy_", "copy")]


@pytest.mark.parametrize(
    "feature", [Feature(""), Feature("a", "category", ("x", "x")), Feature("a", "category", ("x", 3))], ids=str
)
def test_a_column_that_cannot_be_an_input_is_refused_with_its_name(feature: Feature) -> None:
    with pytest.raises(errors.Invalid, match=f"the column {feature.name!r} of the booster cannot be an input"):
        described([feature]).inputs()
