from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

import fairlead
from fairlead import errors
from fairlead.serving.formats import methods, rows


class Point(BaseModel):
    x: float
    y: float


class Total(BaseModel):
    total: float


class ByRows(fairlead.Model[Point, Total]):
    def predict(self, rows: list[Point]) -> list[Total]:
        return [Total(total=row.x + 10 * row.y) for row in rows]


class ByColumns(ByRows):
    def predict_columns(self, batch: np.ndarray) -> list[Total]:
        return [Total(total=value) for value in (batch @ [1.0, 10.0]).tolist()]


class Answers(fairlead.Model[Point, Total]):
    """Returns or raises what the test passes."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, rows: list[Point]) -> list[Total]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


GIVEN = [Point(x=1, y=2), Point(x=3, y=4)]


class ByFrame(ByRows):
    def predict_frame(self, frame: pd.DataFrame) -> list[Total]:
        return [Total(total=value) for value in frame["x"] + 10 * frame["y"]]


@pytest.mark.parametrize("model", [ByRows(), ByColumns(), ByFrame()])
def test_predict_predict_columns_and_predict_frame_give_the_same_answers(model: ByRows) -> None:
    assert rows.answer(model, GIVEN) == [Total(total=21), Total(total=43)]


def test_columns_have_the_order_of_the_row_type() -> None:
    assert rows.columns(Point)(GIVEN).tolist() == [[1, 2], [3, 4]]


def test_a_row_type_of_one_field_is_one_column() -> None:
    assert rows.columns(Total)([Total(total=1), Total(total=2)]).tolist() == [[1], [2]]


def test_a_model_takes_columns_if_it_or_its_base_defines_predict_columns() -> None:
    class Derived(ByColumns):
        pass

    found = [methods.answering(model) for model in (ByRows, ByColumns, Derived)]
    assert found == ["predict", "predict_columns", "predict_columns"]


def test_a_model_that_takes_an_array_needs_numbers_and_the_other_fields_are_named() -> None:
    class Labelled(Point):
        label: str

    with pytest.raises(errors.ModelFailed, match="Labelled has none in label") as caught:
        rows.calls(ByColumns(), Labelled)
    assert "predict_frame" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([Total(total=1)], "got 2 rows and returned 1 answers"),
        (None, "returned a NoneType"),
        ([{"total": 1}] * 2, "returned a dict, not a Total"),
        (ValueError("boom"), "predict raised ValueError: boom"),
    ],
)
def test_a_broken_contract_raises_model_failed(answer: Any, message: str) -> None:
    with pytest.raises(errors.ModelFailed, match=message):
        rows.answer(Answers(answer), GIVEN)


def test_fairlead_errors_are_not_wrapped() -> None:
    with pytest.raises(errors.Overloaded):
        rows.answer(Answers(errors.Overloaded("full")), GIVEN)
