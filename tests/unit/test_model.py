from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

import fairlead
from fairlead import errors


class Flower(BaseModel):
    length: float


class Species(BaseModel):
    label: str


class Iris(fairlead.Model[Flower, Species]):
    pass


Row = TypeVar("Row", bound=BaseModel)


class Labelled(fairlead.Model[Row, Species], Generic[Row]):
    pass


class Special(Labelled[Flower]):
    pass


class Derived(Special):
    pass


@pytest.mark.parametrize("kind", [Iris, Special, Derived])
def test_a_class_knows_its_row_and_answer(kind: type[fairlead.Model[Any, Any]]) -> None:
    assert (kind.row_type, kind.answer_type) == (Flower, Species)


def test_a_class_that_leaves_a_type_open_does_not_pretend_to_know_it() -> None:
    assert not hasattr(Labelled, "row_type")


def test_what_is_no_pydantic_model_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match=r"Wrong: a Model's row and answer are pydantic models, <class 'dict'> is not"):

        class Wrong(fairlead.Model[dict, Species]):  # type: ignore[type-arg, type-var]
            pass


def test_a_model_need_not_define_load() -> None:
    Iris().load(Path("anything"))


def test_a_model_without_predict_raises_model_failed() -> None:
    with pytest.raises(errors.ModelFailed, match="Iris defines no method that answers a batch"):
        Iris().predict([Flower(length=1)])


def test_a_model_without_predict_columns_raises_model_failed() -> None:
    with pytest.raises(errors.ModelFailed, match="Iris does not define predict_columns"):
        Iris().predict_columns(np.zeros((1, 1)))


def test_a_model_without_predict_frame_raises_model_failed() -> None:
    with pytest.raises(errors.ModelFailed, match="Iris does not define predict_frame"):
        Iris().predict_frame(pd.DataFrame())


def test_importing_the_class_pulls_in_neither_a_web_framework_nor_numpy() -> None:
    heavy = "{'fastapi', 'starlette', 'uvicorn', 'numpy', 'pandas', 'prometheus_client', 'sklearn', 'yaml'}"
    code = (
        f"import sys, fairlead; sys.exit(str(sorted({heavy} & set(sys.modules))) if {heavy} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
