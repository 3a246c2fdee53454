"""Golden rows are the model's answers only if it gives the same ones alone and beside other rows."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.serving.formats import golden_answers, writer
from fairlead.serving.formats.folder import ModelFolder, load_folder
from support import folders

PRICES = """
from typing import Literal
import pandas
from pydantic import BaseModel
import fairlead

class Home(BaseModel):
    area: float
    plot: float | None = None
    built: int | None = None
    city: Literal["Bonn", "Ulm"] = "Ulm"

class Price(BaseModel):
    price: float
    per_area: float = 1.0

class Prices(fairlead.Model[Home, Price]):
    {predict}
    def {name}(self, frame: pandas.DataFrame) -> list[Price]:
        # A column that holds only None is no number for pandas, and is left out of the sum.
        numbers = frame.select_dtypes("number").fillna(100.0)
        return [Price(price=value) for value in numbers.sum(axis=1)]
"""
BY_ROWS = """def predict(self, rows: list[Home]) -> list[Price]:
        return self._answered(pandas.DataFrame([row.model_dump() for row in rows]))
"""
INFERRED = PRICES.replace("{name}", "_answered").replace("{predict}", BY_ROWS)
TYPED = PRICES.replace("{name}", "predict_frame").replace("{predict}", "")
MANIFEST = {"name": "prices", "version": "1.0.0", "format": "python", "entry": "model:Prices"}
WITHOUT_PLOT = {"area": 80.0, "plot": None, "built": 1990}
WITH_PLOT = {"area": 90.0, "plot": 12.5, "built": 2001}


def write(tmp_path: Path, code: str, *inputs: dict[str, Any], **changes: Any) -> ModelFolder:
    expected = changes.pop("golden_expected", None)
    model = tmp_path / "model.py"
    model.write_text(code)
    return writer.write_folder(
        tmp_path / "out", MANIFEST | changes, b"", code=[model], golden_inputs=inputs, golden_expected=expected
    )


@pytest.mark.parametrize("inputs", [[WITHOUT_PLOT, WITH_PLOT], [WITHOUT_PLOT]], ids=["beside another", "the only one"])
def test_a_row_that_is_answered_differently_beside_others_is_refused_with_the_field_that_is_null(
    tmp_path: Path, inputs: list[dict[str, Any]]
) -> None:
    with pytest.raises(errors.ModelFailed) as caught:
        write(tmp_path, INFERRED, *inputs)
    assert caught.value.message == (
        "golden row 1 is answered differently in a batch than alone: price: expected 2070.0, got 2170.0, which differs "
        "by 100 (rtol is 1e-05); null in this row: plot"
    )
    assert "predict_frame" in (caught.value.hint or "")
    assert not (tmp_path / "out").exists()


def test_the_same_model_with_predict_frame_gets_golden_rows(tmp_path: Path) -> None:
    loaded = write(tmp_path, TYPED, WITHOUT_PLOT, WITH_PLOT)
    assert [row.expected["price"] for row in loaded.golden] == [2170.0, 2103.5]


def test_a_model_that_says_that_it_takes_one_row_at_a_time_is_asked_so(tmp_path: Path) -> None:
    loaded = write(tmp_path, INFERRED, WITHOUT_PLOT, WITH_PLOT, batching={"max_rows": 1})
    assert [row.expected["price"] for row in loaded.golden] == [2070.0, 2103.5]


def test_a_model_that_fails_for_made_up_neighbours_is_asked_with_the_golden_rows_alone(tmp_path: Path) -> None:
    picky = TYPED.replace("        # A", "        assert set(frame['area']) <= {80.0, 90.0}\n        # A")
    assert len(write(tmp_path, picky, WITHOUT_PLOT, WITH_PLOT).golden) == 2


def test_more_golden_rows_than_fit_a_batch_are_asked_in_several(tmp_path: Path) -> None:
    counting = TYPED.replace("        # A", "        assert len(frame) <= 3\n        # A")
    loaded = write(
        tmp_path, counting, *[WITH_PLOT | {"area": float(area)} for area in range(8)], batching={"max_rows": 3}
    )
    assert len(loaded.golden) == 8


def test_given_answers_that_the_model_gives_become_the_golden_answers(tmp_path: Path) -> None:
    loaded = write(tmp_path, TYPED, WITHOUT_PLOT, golden_expected=[{"price": 2170.001, "per_area": 1}])
    assert loaded.golden[0].expected == {"price": 2170.001, "per_area": 1.0}


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        (
            [{"price": 2103.5}, {"price": 2070.0}],
            "golden row 2 is not answered as golden_expected says: price: expected 2070.0, got 2170.0",
        ),
        ([{"price": 2103.5}], "golden_expected has 1 answers for 2 golden_inputs"),
        ([{"price": 2103.5}, {"cost": 1.0}], "golden row 2: expected: price: Field required"),
        (
            [{"price": 2103.5}, {"price": float("nan")}],
            "golden row 2: expected: price is NaN, which JSON does not have",
        ),
        (
            [{"price": 2103.5}, {"price": np.int64(1)}],
            "golden row 2: expected: price is a numpy.int64, not a value of JSON",
        ),
    ],
)
def test_given_answers_that_do_not_hold_are_refused_with_row_and_field(
    tmp_path: Path, expected: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises((errors.Invalid, errors.ModelFailed)) as caught:
        write(tmp_path, TYPED, WITH_PLOT, WITHOUT_PLOT, golden_expected=expected)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "golden row 2: input: area is NaN, which JSON does not have"),
        (float("-inf"), "golden row 2: input: area is infinity, which JSON does not have"),
        (np.int64(3), "golden row 2: input: area is a numpy.int64, not a value of JSON"),
        (datetime.date(2025, 1, 1), "golden row 2: input: area is a datetime.date, not a value of JSON"),
        ("80", "golden row 2: input: area: Input should be a valid number"),
    ],
)
def test_a_golden_input_that_no_client_could_send_is_a_sentence_with_row_and_field(
    tmp_path: Path, value: Any, message: str
) -> None:
    with pytest.raises(errors.Invalid) as caught:
        write(tmp_path, TYPED, WITH_PLOT, {"area": value})
    assert caught.value.message == message


def test_an_answer_that_json_does_not_have_is_a_sentence_with_row_and_field(tmp_path: Path) -> None:
    nothing = TYPED.replace("price=value", "price=float('nan')")
    with pytest.raises(errors.ModelFailed, match="golden row 1: the model returned NaN or infinity in field 'price'"):
        write(tmp_path, nothing, WITH_PLOT)


def test_a_golden_file_with_nan_is_invalid(tmp_path: Path) -> None:
    loaded = write(tmp_path, TYPED, WITH_PLOT)
    (loaded.folder / "golden.jsonl").write_text('{"input": {"area": NaN}, "expected": {"price": 1}}\n')
    with pytest.raises(errors.Invalid, match=r"golden\.jsonl:1: input: area is NaN, which JSON does not have"):
        load_folder(loaded.folder)


HANGS = """
import threading
from pathlib import Path
from pydantic import BaseModel
import fairlead

class Number(BaseModel):
    value: float

class Hangs(fairlead.Model[Number, Number]):
    def load(self, artifact: Path) -> None:
        self.asked = artifact.parents[1] / "asked"

    def predict(self, rows: list[Number]) -> list[Number]:
        if any(row.value != 5000 for row in rows):
            self.asked.touch()
            threading.Event().wait()
        return rows
"""


def hanging(tmp_path: Path, **changes: Any) -> ModelFolder:
    fields = {"golden": (), "name": "hangs", "entry": "model:Hangs", **changes}
    return load_folder(folders.make(tmp_path / "m", code=HANGS, **fields))


def test_a_model_that_hangs_on_a_made_up_row_gets_golden_rows_without_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (row,) = golden_answers.answered(hanging(tmp_path), [{"value": 5000}], limit_s=0.2)
    assert row.expected == {"value": 5000.0}
    assert "a batch of 9 with made-up rows has not returned within 0.2 s" in caplog.text


def test_a_model_that_is_not_idempotent_is_asked_no_made_up_rows(tmp_path: Path) -> None:
    (row,) = golden_answers.answered(hanging(tmp_path, idempotent=False), [{"value": 5000}], limit_s=60)
    assert row.expected == {"value": 5000.0}
    assert not list(tmp_path.rglob("asked"))


def test_an_exit_in_the_model_is_a_failure_and_no_hang(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelFailed, match="ended the process"):
        golden_answers.answered(
            load_folder(folders.make(tmp_path / "m", code=folders.DOUBLER.replace("return [", "exit(3); return ["))),
            [{"value": 1}],
        )
