from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairlead import errors
from fairlead.serving.formats.folder import load_folder
from support import folders
from unit.serving.formats.test_estimator_input import named

MODEL = """
import pickle
from pathlib import Path
import numpy as np
from pydantic import BaseModel, Field
import fairlead

class Person(BaseModel):
    income: float = Field(ge=0, le=100_000)
    age: float = Field(ge=18, le=100)

class Class(BaseModel):
    score: float

class Scorer(fairlead.Model[Person, Class]):
    def load(self, artifact: Path) -> None:
        self.line = pickle.loads(artifact.read_bytes())

"""
BY_COLUMNS = """
    def predict_columns(self, batch):
        return [Class(score=score) for score in self.line.predict({})]
"""
BY_ROWS = """
    def predict(self, rows):
        return [Class(score=score) for score in self.line.predict([[{}] for row in rows])]
"""
TABLE = np.random.default_rng(0).normal(size=(9, 2))


def folder(tmp_path: Path, method: str, *, fields: str = MODEL, scaled: bool = False, **more: Any) -> Path:
    """A class whose estimator was fitted on the columns age and income."""
    line: Any = LinearRegression().fit(TABLE, TABLE @ [1.0, 1000.0])
    if scaled:
        line = make_pipeline(named(StandardScaler().fit(TABLE), "age", "income"), line)
    else:
        named(line, "age", "income")
    more = {"golden": (), "entry": "model:Scorer"} | more
    return folders.make(tmp_path / "m", code=fields + method, artifact=pickle.dumps(line), **more)


WRONG = r"'line' the columns income, age, but it was fitted on age, income: every answer would be wrong"


@pytest.mark.parametrize("scaled", [False, True], ids=["estimator", "pipeline"])
@pytest.mark.parametrize("method", [BY_COLUMNS.format("batch"), BY_ROWS.format("row.income, row.age")])
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_columns_in_another_order_than_the_estimator_s_are_refused_with_both_orders(
    tmp_path: Path, method: str, scaled: bool
) -> None:
    with pytest.raises(errors.Invalid, match=WRONG) as caught:
        load_folder(folder(tmp_path, method, scaled=scaled)).start()
    assert "Write the fields of Person in the order of the estimator's columns" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "method",
    [
        BY_COLUMNS.format("batch[:, [1, 0]]"),
        BY_ROWS.format("row.age, row.income"),
        BY_COLUMNS.format("batch / [100_000, 100]"),  # columns that are not those of the row show nothing
        BY_COLUMNS.format("batch[:, [1, 0]]").replace("[Class", "1 / 0 or [Class"),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_class_that_puts_them_in_order_or_of_which_nothing_is_known_is_loaded(tmp_path: Path, method: str) -> None:
    model = load_folder(folder(tmp_path, method)).start()
    assert "predict" not in vars(model.line)  # type: ignore[attr-defined]


def test_a_class_with_other_fields_than_the_columns_is_not_asked(tmp_path: Path) -> None:
    fields = MODEL.replace("income:", "salary:")
    assert load_folder(folder(tmp_path, BY_COLUMNS.format("0 / 0"), fields=fields)).start()


def test_golden_rows_show_it_where_made_up_rows_may_not_be_asked(tmp_path: Path) -> None:
    golden = [{"input": {"income": 1000.0, "age": 20.0}, "expected": {"score": 1.0}}]
    made = folder(tmp_path, BY_ROWS.format("row.income, row.age"), golden=golden, idempotent=False)
    with pytest.raises(errors.Invalid, match=WRONG), pytest.warns(UserWarning, match="valid feature names"):
        load_folder(made).start()
