"""What the service asks a model before it is ready, and when rows of several requests may share a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, Field
from sklearn.ensemble import RandomForestClassifier

from fairlead import errors
from fairlead.serving.formats import declared
from fairlead.serving.formats.golden import GoldenRow
from fairlead.serving.formats.strict import strict
from fairlead.serving.inference import contract, warmup
from unit.serving.formats.test_declared import Given, manifest


class Number(BaseModel):
    x: float = Field(ge=-10, le=10)


class Pair(BaseModel):
    values: list[float]


TERMS = contract.Contract(strict(Number), Pair, 64)
Answer = Callable[[list[Any]], list[BaseModel]]


def decided(answer: Answer, golden: Sequence[float] = (), *, max_rows: int = 64, **given: Any) -> warmup.Batchable:
    rows = [GoldenRow({"x": x}, answer([Number(x=x)])[0].model_dump()) for x in golden]
    return warmup.warm_up(answer, TERMS, rows, rtol=1e-5, max_rows=max_rows, **given)


def own(rows: list[Any]) -> list[BaseModel]:
    """Each row gets its own answer."""
    return [Pair(values=[row.x, -row.x]) for row in rows]


def along_the_outputs(rows: list[Any]) -> list[BaseModel]:
    """Each row gets the numbers of one output, as if the list per output were one per row."""
    outputs = [[row.x for row in rows], [-row.x for row in rows]]
    return TERMS.check([Pair(values=values) for values in outputs], len(rows)) if len(rows) > 1 else own(rows)


def only_one(rows: list[Any]) -> list[BaseModel]:
    """Constant answers, so that only their number can tell; of two outputs."""
    return TERMS.check([Pair(values=[1.0, 1.0])] * (1 if len(rows) == 1 else 2), len(rows))


def refusing(rows: list[Any]) -> list[BaseModel]:
    """Fails for all rows but one."""
    if any(row.x != 1 for row in rows):
        raise ValueError("not a customer")
    return own(rows)


@pytest.mark.parametrize("golden", [(), (1.0,), (1.0, 2.0), (1.0, 2.0, 3.0), tuple(map(float, range(7)))])
def test_rows_share_a_call_if_batches_of_two_and_of_three_get_the_answers_of_each_row(
    golden: tuple[float, ...],
) -> None:
    sizes = []

    def answer(rows: list[Any]) -> list[BaseModel]:
        sizes.append(len(rows))
        return own(rows)

    found = decided(answer, golden)
    assert (found.allowed, found.reason) == (True, "invariant")
    assert {2, 3} <= set(sizes)
    assert max(sizes) >= len(golden)


def test_no_batch_is_larger_than_the_manifest_allows() -> None:
    sizes = []

    def answer(rows: list[Any]) -> list[BaseModel]:
        sizes.append(len(rows))
        return own(rows)

    assert decided(answer, (1.0, 2.0, 3.0, 4.0, 5.0), max_rows=2).allowed
    assert max(sizes) == 2


@pytest.mark.parametrize("answer", [along_the_outputs, only_one])
@pytest.mark.parametrize("golden", [(), (1.0,), (1.0, 2.0), (1.0, 1.0)])
def test_answers_along_another_axis_are_found_also_where_its_length_is_that_of_the_batch(
    answer: Answer, golden: tuple[float, ...]
) -> None:
    assert decided(answer, golden).reason in ("not_invariant", "batch_failed")


@pytest.mark.parametrize("golden", [(), (1.0,), (1.0, 1.0)])
def test_where_the_model_answers_no_two_different_rows_they_do_not_share_a_call(golden: tuple[float, ...]) -> None:
    found = decided(refusing, golden)
    assert (found.allowed, found.reason) == (False, "unchecked")
    assert "made-up row" in found.detail
    assert "not a customer" in found.detail


def test_a_model_that_is_not_idempotent_is_asked_no_made_up_row() -> None:
    asked: list[float] = []

    def answer(rows: list[Any]) -> list[BaseModel]:
        asked.extend(row.x for row in rows)
        return own(rows)

    found = decided(answer, (1.0,), idempotent=False)
    assert (found.allowed, found.reason) == (False, "unchecked")
    assert set(asked) == {1.0}


def test_a_difference_names_the_row_and_the_size_of_the_batch() -> None:
    found = decided(lambda rows: [Pair(values=[row.x * len(rows)]) for row in rows], (1.0, 2.0, 3.0))
    assert found.detail.startswith("golden row 1 is answered differently in a batch of 2: values[0]: expected 1.0")


def test_a_wrong_golden_answer_is_an_error() -> None:
    with pytest.raises(errors.ModelFailed, match="golden row 1 is not answered as expected: values"):
        warmup.warm_up(own, TERMS, [GoldenRow({"x": 1.0}, {"values": [2.0, 2.0]})], rtol=1e-5, max_rows=64)


@pytest.mark.parametrize("outputs", [2, 3])
def test_a_forest_with_several_outputs_and_no_golden_rows_is_batched_with_each_row_s_own_answers(outputs: int) -> None:
    table = np.random.default_rng(0).normal(size=(40, 2))
    fitted = RandomForestClassifier(n_estimators=3, random_state=0).fit(table, table[:, [0, 1, 0][:outputs]] > 0)
    inputs: list[dict[str, Any]] = [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}]
    stated = manifest(inputs, [{"name": "predict_proba", "datatype": "FP64", "shape": [-1, outputs, 2]}])
    model = declared.model_class(stated, Given(fitted))()
    model.load(Path())
    terms = contract.Contract(strict(model.row_type), model.answer_type, 64)
    found = warmup.warm_up(model.predict, terms, (), rtol=1e-5, max_rows=64)
    assert (found.allowed, found.reason) == (True, "invariant")
