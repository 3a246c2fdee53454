"""A model is asked golden and made-up rows in every protocol, through the service's own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead.serving.check.checks import check_folder
from fairlead.serving.check.findings import Finding, is_fit, not_proved
from support import folders

ANSWER = "return [Doubled(value=self.factor * row.value) for row in rows]"


def found(tmp_path: Path, code: str = folders.DOUBLER, check: str = "protocols", **change: Any) -> Finding:
    folder = folders.make(tmp_path / "m", code=code, **change)
    return next(finding for finding in check_folder(folder) if finding.check == check)


def answering(line: str) -> str:
    return folders.DOUBLER.replace(ANSWER, line)


def test_golden_and_made_up_rows_get_the_same_answers(tmp_path: Path) -> None:
    finding = found(tmp_path)
    assert finding.message == "2 golden and 8 made-up rows agree in JSON, list, V1, V2"
    assert finding.outcome == "passed"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("return [{'value': 1.0} for row in rows]", "made-up row 1: the model returned a dict, not a Doubled"),
        ("import numpy; return numpy.zeros(len(rows))", "made-up row 1: the model returned a ndarray, not a list"),
        ("return (row for row in rows)", "made-up row 1: the model returned a generator, not a list"),
        ("return [Doubled(value=1)] * 2", "made-up row 1: the model returned 2 answers for 1 rows"),
        (
            "return [Doubled.model_construct(value={1, 2}) for row in rows]",
            "made-up row 1: the model's answer cannot be written: field 'value' has a set where the type says float",
        ),
    ],
)
def test_without_golden_rows_made_up_ones_show_that_answers_cannot_be_used(
    tmp_path: Path, line: str, message: str
) -> None:
    finding = found(tmp_path, answering(line), golden=())
    assert finding.outcome == "failed"
    assert finding.message.startswith(message)


def test_an_answer_that_changes_on_the_way_through_a_protocol_is_a_difference(tmp_path: Path) -> None:
    """The first request gets another answer than the next ones, as from a model that counts its calls: 5 to warm up."""
    counting = folders.DOUBLER.replace("self.factor = ", "self.calls = 0; self.factor = ")
    counting = counting.replace(ANSWER, "self.calls += 1; return [Doubled(value=self.calls // 17) for row in rows]")
    finding = found(tmp_path, counting, golden=())
    assert (finding.outcome, "is answered differently in V2 than" in finding.message) == ("failed", True), finding


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("raise ValueError('no such customer')", "made it fail: ValueError: no such customer"),
        ("raise SystemExit", "made it fail: the model's code ended the process: sys.exit()"),
        (
            "return [Doubled.model_construct(value=float('nan')) for row in rows]",
            "the model returned NaN or infinity in field 'value'",
        ),
    ],
)
def test_a_model_that_refuses_made_up_rows_and_has_no_golden_ones_is_fit_but_not_proved(
    tmp_path: Path, line: str, why: str
) -> None:
    folder = folders.make(tmp_path / "m", code=answering(line), golden=())
    findings = check_folder(folder)
    finding = next(finding for finding in findings if finding.check == "protocols")
    assert finding.outcome == "warned"
    assert finding.message.startswith("not proved: that the model answers: made-up row ")
    assert why in finding.message
    assert "golden_inputs" in finding.hint
    assert is_fit(findings)
    assert not_proved(findings) == ["golden rows", "batching", "protocols"]


def test_golden_rows_prove_a_model_that_refuses_made_up_ones(tmp_path: Path) -> None:
    picky = answering("assert all(row.value in (1.5, -2) for row in rows); " + ANSWER)
    finding = found(tmp_path, picky)
    assert finding.message.startswith("2 golden rows agree in JSON, list, V1, V2; 8 made-up rows got no answer: ")
    assert "made-up row 1 made it fail: AssertionError" in finding.message
    assert (finding.outcome, "422" in finding.hint) == ("warned", True)


NESTED = """
import datetime, enum
from typing import Literal
from pydantic import BaseModel, Field, RootModel
import fairlead

class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"

class Part(BaseModel):
    width: float | None = None
    names: dict[str, int] = {}

class Everything(BaseModel):
    number: float | None
    count: int = Field(ge=0)
    flag: bool
    text: str | None
    kind: Literal["a", "b"]
    colour: Colour
    day: datetime.date
    at: datetime.datetime
    parts: list[Part] = Field(min_length=1)
    matrix: list[list[float]]
    fixed: list[int] = Field(min_length=2, max_length=2)
    part: Part | None = None

class Echo(fairlead.Model[Everything, Everything]):
    def predict(self, rows):
        return rows

class Vector(RootModel[list[float]]):
    pass

class Total(BaseModel):
    total: float

class Sum(fairlead.Model[Vector, Total]):
    def predict(self, rows):
        return [Total(total=sum(row.root)) for row in rows]
"""


@pytest.mark.parametrize(("entry", "protocols"), [("Echo", "JSON, list, V1, V2"), ("Sum", "list, V1")])
def test_rows_of_any_types_are_made_up_and_asked_in_every_protocol_that_has_them(
    tmp_path: Path, entry: str, protocols: str
) -> None:
    finding = found(tmp_path, NESTED, golden=(), artifact=None, entry=f"model:{entry}")
    assert finding.message == f"8 made-up rows agree in {protocols}"


def test_a_model_bound_to_the_thread_that_loads_it_is_fit(tmp_path: Path) -> None:
    bound = folders.DOUBLER.replace("import fairlead\n", "import fairlead, threading\n")
    bound = bound.replace("self.factor = ", "self.thread = threading.get_ident(); self.factor = ")
    bound = bound.replace(ANSWER, f"assert self.thread == threading.get_ident(); {ANSWER}")
    assert found(tmp_path, bound).outcome == "passed"


def test_a_field_that_is_null_in_some_rows_shows_types_that_depend_on_neighbours(tmp_path: Path) -> None:
    inferring = """
import pandas
from pydantic import BaseModel
import fairlead

class Home(BaseModel):
    area: float
    plot: float | None = None

class Price(BaseModel):
    price: float

class Prices(fairlead.Model[Home, Price]):
    def predict(self, rows):
        frame = pandas.DataFrame([row.model_dump() for row in rows])
        return [Price(price=value) for value in frame.select_dtypes("number").fillna(100.0).sum(axis=1)]
"""
    finding = found(tmp_path, inferring, check="batching", golden=(), artifact=None, entry="model:Prices")
    assert "is answered differently in a batch of 2" in finding.message
    assert "predict_frame" in finding.hint


def test_golden_rows_that_together_are_larger_than_a_body_may_be_are_asked(tmp_path: Path) -> None:
    counting = """
from pydantic import BaseModel
import fairlead

class Text(BaseModel):
    text: str

class Length(BaseModel):
    length: int

class Counter(fairlead.Model[Text, Length]):
    def predict(self, rows):
        return [Length(length=len(row.text)) for row in rows]
"""
    golden = [{"input": {"text": "x" * 900_000}, "expected": {"length": 900_000}}] * 5
    finding = found(tmp_path, counting, golden=golden, artifact=None, entry="model:Counter")
    assert finding.message == "5 golden and 3 made-up rows agree in JSON, list, V1, V2"


def test_rows_that_have_together_more_values_than_a_body_may_have_are_sent_in_several_lists(tmp_path: Path) -> None:
    adding = """
from pydantic import BaseModel
import fairlead

class Pixels(BaseModel):
    pixels: list[float]

class Total(BaseModel):
    total: float

class Adder(fairlead.Model[Pixels, Total]):
    def predict(self, rows):
        return [Total(total=sum(row.pixels)) for row in rows]
"""
    golden = [
        {"input": {"pixels": [float(place)] * 160_000}, "expected": {"total": place * 160_000.0}} for place in (1, 2)
    ]
    finding = found(tmp_path, adding, golden=golden, artifact=None, entry="model:Adder")
    assert finding.message.endswith("made-up rows agree in JSON, list, V1, V2")
